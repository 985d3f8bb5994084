"""Runs the three programs one after the other, measures each from outside, and writes the three reports: see backup-bench.sh,
which prepares everything that is read from the environment. Megabytes are 10^6 bytes, before compression; "per core" is by
CPU time of the program's processes, ours included; peak memory is the sum over its processes, sampled five times a second."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import boto3

E = os.environ
WORK, BUCKET = pathlib.Path(E["BENCH_WORK"]), E["BENCH_BUCKET"]
SEGMENTS = sorted(os.listdir(E["BENCH_SEGMENTS"]))
WAL_MB = len(SEGMENTS) * 16.777216
WIDTHS = (1, 4)
S3 = boto3.client("s3", endpoint_url=E["BENCH_ENDPOINT"])
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []


def say(text):
    print(f"backup-bench: {text}", flush=True)


def data_mb():
    """What every program has to read: the data directory without WAL."""
    total = 0
    for folder, below, files in os.walk(E["BENCH_PGDATA"]):
        below[:] = [name for name in below if name not in ("pg_wal", "pgsql_tmp")]
        total += sum(os.path.getsize(os.path.join(folder, name)) for name in files)
    return total / 1e6


def stored_mb(prefix):
    pages = S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return sum(found["Size"] for page in pages for found in page.get("Contents", ())) / 1e6


def memory_kib(session):
    """Resident memory of all processes of a session."""
    total = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                if int(stat[3]) == session:
                    total += int(stat[21]) * 4
            except (OSError, IndexError):
                pass
    return total


def measured(command, **environment):
    """Wall time, CPU time and peak memory of a program and of its children."""
    began = time.time()
    child = subprocess.Popen(command, env={**E, **environment}, start_new_session=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/")
    peak, over = [0], threading.Event()

    def watch():
        while not over.wait(0.2):
            peak[0] = max(peak[0], memory_kib(child.pid))

    said = []
    reader = threading.Thread(target=lambda: said.append(child.stdout.read()))
    watcher = threading.Thread(target=watch)
    reader.start(), watcher.start()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.time() - began
    over.set()
    watcher.join(), reader.join()
    if status:
        sys.exit(f"backup-bench: {command}: {said[0].decode(errors='replace')}")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_kib": max(peak[0], usage.ru_maxrss)}


def told(command, **environment):
    """What one of our programs says about itself: a manager is there all the time, and its start is no part of a backup."""
    done = subprocess.run(command, capture_output=True, text=True, env={**E, **environment})
    if done.returncode:
        sys.exit(f"backup-bench: {command}: {done.stderr}")
    return json.loads(done.stdout)


def ours(verb, root, wide, **more):
    return told([E["BENCH_OURS"], verb], BENCH_ROOT=root, BENCH_WIDE=str(wide), **more)


def barman(program, options, server, *last):
    return [f"{E['BENCH_TOOLS']}/{program}", "--endpoint-url", E["BENCH_ENDPOINT"], *options,
            f"s3://{BUCKET}/barman", server, *last]


def pgbackrest(*words, wide=1, pgdata=None):
    config = WORK / "pgbackrest/pgbackrest.conf"
    config.write_text(f"""[global]
repo1-type=s3
repo1-path=/pgbackrest
repo1-bundle=y
repo1-s3-bucket={BUCKET}
repo1-s3-endpoint=127.0.0.1
repo1-s3-region=us-east-1
repo1-s3-key={E["AWS_ACCESS_KEY_ID"]}
repo1-s3-key-secret={E["AWS_SECRET_ACCESS_KEY"]}
repo1-s3-uri-style=path
repo1-storage-port={E["BENCH_TLS_PORT"]}
repo1-storage-verify-tls=n
repo1-retention-full=9
compress-type=gz
compress-level=6
process-max={wide}
log-level-file=off
log-level-console=warn
lock-path={WORK}/pgbackrest
spool-path={WORK}/pgbackrest
[b]
pg1-path={E["BENCH_PGDATA"]}
pg1-socket-path={E["BENCH_SOCKET"]}
pg1-port={E["BENCH_PORT"]}
""")
    os.chmod(config, 0o644)
    where = [] if pgdata is None else [f"--pg1-path={pgdata}"]
    return [*AS_POSTGRES, "pgbackrest", f"--config={config}", "--stanza=b", *where, *words]


def fresh(name):
    """An empty folder to restore into, of postgres."""
    folder = WORK / name
    folder.mkdir(mode=0o700)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    return folder


def row(tool, wide, megabytes, run, stored=None):
    found = {
        "tool": tool, "wide": wide, "mb_per_s_core": round(megabytes / run["cpu_s"], 1),
        "mb_per_s": round(megabytes / run["wall_s"], 1), "ratio": stored and round(megabytes / stored, 3),
        "peak_rss_mib": round(run["peak_kib"] / 1024, 1), "wall_s": round(run["wall_s"], 2),
        "cpu_s": round(run["cpu_s"], 2),
    }
    say("  {tool:<24} {wide} wide: {mb_per_s_core:>7} MB/s per core, {mb_per_s:>7} MB/s, ratio {ratio}, "
        "{peak_rss_mib} MiB, {wall_s} s".format(**found))
    return found


def times(rows, mine, other, wide, field="mb_per_s_core"):
    pick = lambda tool: next(found[field] for found in rows if found["tool"] == tool and found["wide"] == wide)
    return round(pick(mine) / pick(other), 2)


def restored_mb(folder):
    """Stays there until the end: files that are made soon after others were deleted are slow to make on ext4."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, files in os.walk(folder) for name in files) / 1e6


def backups(data):
    rows = []
    for wide in WIDTHS:
        rows.append(row("pgherd", wide, data, ours("backup", f"ours{wide}/c", wide), stored_mb(f"ours{wide}/c/base/")))
        run = measured(barman("barman-cloud-backup", ["--gzip", "--immediate-checkpoint", "-J", str(wide), "-U", "postgres",
                                                       "-h", E["BENCH_SOCKET"], "-p", E["BENCH_PORT"]], f"b{wide}"))
        rows.append(row("barman-cloud-backup", wide, data, run, stored_mb(f"barman/b{wide}/base/")))
        before = stored_mb("pgbackrest/backup/")
        run = measured(pgbackrest("--type=full", "--start-fast", "--no-archive-check", "backup", wide=wide))
        rows.append(row("pgbackrest gz -6", wide, data, run, stored_mb("pgbackrest/backup/") - before))
    return rows


def restores(data):
    rows = []
    for wide in WIDTHS:
        to = WORK / f"restored-ours-{wide}"
        rows.append(row("pgherd", wide, data, ours("restore", f"ours{wide}/c", wide, BENCH_TO=str(to))))
        whole = restored_mb(to)
        if abs(whole - data) > data / 50:
            sys.exit(f"backup-bench: {whole} MB were restored of {data}")
        if wide == 1:
            listed = subprocess.run(barman("barman-cloud-backup-list", ["--format", "json"], "b1"), capture_output=True,
                                    check=True, text=True)
            id = json.loads(listed.stdout)["backups_list"][0]["backup_id"]
            to = WORK / "restored-barman"
            rows.append(row("barman-cloud-restore", 1, data, measured(barman("barman-cloud-restore", [], "b1", id, str(to)))))
        to = fresh(f"restored-pgbackrest-{wide}")
        run = measured(pgbackrest("restore", wide=wide, pgdata=to))
        rows.append(row("pgbackrest gz -6", wide, data, run))
    return rows


def each(command, names, wide):
    """A program that is run once for each segment ({} in its command), so many of them at a time."""
    (WORK / "names").write_text("".join(f"{name}\n" for name in names))
    return measured(["xargs", "-a", str(WORK / "names"), "-P", str(wide), "-I{}", *command])


def wal_archived():
    rows, some = [], SEGMENTS[::4]
    part = len(some) * 16.777216
    segment = f"{E['BENCH_SEGMENTS']}/{{}}"
    for wide in WIDTHS:
        rows.append(row("pgherd", wide, WAL_MB, ours("wal-put", f"wal{wide}/c", wide), stored_mb(f"wal{wide}/c/wals/")))
        # The sizes at level 9 show that the option is heard at all: barman's default is its level 6.
        for tool, level in (("barman, its default", []), ("barman -6", ["--compression-level", "6"]),
                            ("barman -9", ["--compression-level", "9"])):
            server = f"w{wide}" + "".join(level[1:])
            run = each(barman("barman-cloud-wal-archive", ["--gzip", *level], server, segment), some, wide)
            rows.append(row(tool, wide, part, run, stored_mb(f"barman/{server}/wals/")))
        # The second time it finds each of them there, and would compare only: so it goes on with the other half.
        half = SEGMENTS[WIDTHS.index(wide)::len(WIDTHS)]
        before = stored_mb("pgbackrest/archive/b/15-1/")
        run = each(pgbackrest("archive-push", segment), half, wide)
        stored = stored_mb("pgbackrest/archive/b/15-1/") - before
        rows.append(row("pgbackrest gz -6", wide, len(half) * 16.777216, run, stored))
    return rows


def wal_restored():
    rows, some = [], SEGMENTS[::4]
    part = len(some) * 16.777216
    for wide in WIDTHS:
        to = fresh(f"wal-restored-{wide}")
        rows.append(row("pgherd", wide, WAL_MB, ours("wal-get", f"wal{wide}/c", wide)))
        run = each(barman("barman-cloud-wal-restore", [], "w1", "{}", f"{to}/b{{}}"), some, wide)
        rows.append(row("barman-cloud-wal-restore", wide, part, run))
        rows.append(row("pgbackrest gz -6", wide, WAL_MB, each(pgbackrest("archive-get", "{}", f"{to}/p{{}}"), SEGMENTS, wide)))
    return rows


def read_by_barman(name):
    """What barman restores of ours has to be what postgres wrote."""
    to = WORK / "read-by-barman"
    command = [f"{E['BENCH_TOOLS']}/barman-cloud-wal-restore", "--endpoint-url", E["BENCH_ENDPOINT"], f"s3://{BUCKET}/wal1",
               "c", name, str(to)]
    subprocess.run(command, check=True, cwd="/", stdin=subprocess.DEVNULL)
    if to.read_bytes() != (pathlib.Path(E["BENCH_SEGMENTS"]) / name).read_bytes():
        sys.exit(f"backup-bench: barman-cloud-wal-restore makes something else of our {name}")


def report(name, content, head):
    path = pathlib.Path(E["BENCH_REPORTS"]) / name
    path.write_text(json.dumps({**head, **content}, indent=2) + "\n")
    say(f"{path} is written")


def main():
    data = data_mb()
    subprocess.run(pgbackrest("stanza-create"), check=True, cwd="/", stdin=subprocess.DEVNULL)
    head = {
        "commit": E["BENCH_COMMIT"], "command": f"make bench SIZE={E['BENCH_SIZE']}", "started_at": E["BENCH_STARTED_AT"],
        "host": E["BENCH_HOST"], "load_before": float(E["BENCH_LOAD"]), "build": E["BENCH_BUILD"],
        "programs": E["BENCH_VERSIONS"], "data_mb": round(data, 1), "wal_segments": len(SEGMENTS),
    }
    say("archive_command, with every segment stored by the look-ahead before")
    command = told([E["BENCH_ARCHIVE_COMMAND"]])
    say("  {commands} times: p50 {p50_ms} ms, p99 {p99_ms} ms (budget 5)".format(**command))
    say(f"WAL archive of {len(SEGMENTS)} segments")
    wal = wal_archived()
    read_by_barman(SEGMENTS[0])
    packed = WAL_MB / ours("wal-pack", "", 1)["cpu_s"]
    first = wal[0]
    faster = {f"{field}_{wide}_wide": times(wal, "pgherd", tool, wide)
              for field, tool in (("barman_default", "barman, its default"), ("barman_level_6", "barman -6"),
                                  ("pgbackrest_gz", "pgbackrest gz -6")) for wide in WIDTHS}
    say(f"times faster per core: {faster}")
    report("archive.json", {
        **{field: first[field] for field in ("mb_per_s_core", "mb_per_s", "ratio", "peak_rss_mib")},
        "compress_mb_per_s_core": round(packed, 1), **{f"command_{field}": found for field, found in command.items()},
        "wal": wal, "times_faster": faster,
        "budget": {"mb_per_s_core": 90, "ratio": 2.85, "command_p50_ms": 5, "peak_rss_mib_4_wide": 120,
                   "barman_default": 25, "barman_level_6": 8, "pgbackrest_gz": 5}}, head)
    say(f"base backups of {data:.0f} MB")
    base = backups(data)
    faster = {f"{field}_{wide}_wide": times(base, "pgherd", tool, wide)
              for field, tool in (("barman", "barman-cloud-backup"), ("pgbackrest", "pgbackrest gz -6")) for wide in WIDTHS}
    say(f"times faster per core: {faster}")
    report("backup.json", {"base": base, "times_faster": faster, "budget": {"barman": 2, "pgbackrest": 2}}, head)
    say("restores")
    base = restores(data)
    say("WAL restored")
    wal = wal_restored()
    speed = next(found["mb_per_s_core"] for found in wal if found["tool"] == "pgherd" and found["wide"] == 1)
    say(f"WAL comes back at {speed} MB/s per core (budget 400)")
    report("restore.json", {"base": base, "wal": wal, "wal_mb_per_s_core": speed,
                            "budget": {"wal_mb_per_s_core": 400}}, head)


main()
