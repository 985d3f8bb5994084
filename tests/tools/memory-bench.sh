#!/usr/bin/env bash
# Measures what the manager and the controller keep in memory, idle and with a backlog of WAL that is archived four
# wide, and writes target/bench/memory.json. Runs as root. BUILD=release measures a release build (which is made
# first, and takes minutes); the default is the build of the demo and the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" -ne 0 ]; then
    sudo -n --preserve-env=PATH,BUILD,CARGO_TARGET_DIR "$0" "$@" && status=0 || status=$?
    sudo -n chown -R "$(id -u):$(id -g)" target/bench
    exit "$status"
fi
build=${BUILD:-debug}
echo "memory: building ($build; output only if something is wrong)"
if [ "$build" = release ]; then cargo build -q --release --workspace --bins; else cargo build -q --workspace --bins; fi
mkdir -p target/bench
started_at=$(date -u +%Y-%m-%dT%H:%M:%SZ) load=$(cut -d' ' -f1 /proc/loadavg)
state=$(mktemp -d /var/tmp/pgherd-memory.XXXXXX)
chmod 755 "$state"
# Under names that a build meanwhile does not replace.
mkdir "$state/bin"
cp "${CARGO_TARGET_DIR:-target}/$build/"{pgherd,manager,controller} "$state/bin/"
pgherd() { "$state/bin/pgherd" "$@"; }
here=(--name memory --state-dir "$state/state")
finish() {
    pgherd local down --purge "${here[@]}" >/dev/null 2>&1 || true
    rm -rf "$state"
}
trap finish EXIT
trap 'exit 143' TERM INT
echo "memory: three instances of docs/examples/cluster.yaml"
pgherd local up "${here[@]}" -f docs/examples/cluster.yaml >/dev/null
/usr/bin/python3 - "$state" "$build" "$started_at" "$load" <<'P'
import json, os, pathlib, subprocess, sys, time

state, build, started_at, load = sys.argv[1:]
here = ["--name", "memory", "--state-dir", f"{state}/state"]
SETTLE, EVERY = 60, 0.2


def pgherd(*arguments):
    done = subprocess.run([f"{state}/bin/pgherd", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"memory: pgherd {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def sql(text):
    return pgherd("psql", *here, "--superuser", "--", "-Atqc", text).strip()


def read(pid, name):
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def fields(text):
    lines = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key: value.strip() for key, value in lines}


def kib(text):
    return int(text.split()[0]) if text else 0


def processes():
    """Pods' PID 1 by host name, and the controller, of this run only."""
    managers, controllers = {}, []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        status = fields(read(entry, "status"))
        environment = dict(pair.split("=", 1) for pair in read(entry, "environ").split("\0") if "=" in pair)
        if status.get("Name") == "manager" and status.get("NSpid", "").split()[-1:] == ["1"]:
            root = os.path.realpath(f"/proc/{entry}/root")
            if any(state in line for line in read(entry, "mountinfo").splitlines()):
                managers[environment.get("POD_NAME", root)] = int(entry)
        if status.get("Name") == "controller" and state in (os.readlink(f"/proc/{entry}/exe") if read(entry, "comm") else ""):
            controllers.append(int(entry))
    return managers, controllers


def memory(pid):
    status, rollup = fields(read(pid, "status")), fields(read(pid, "smaps_rollup"))
    return {
        "rss_mib": round(kib(status.get("VmRSS")) / 1024, 1),
        "pss_mib": round(kib(rollup.get("Pss")) / 1024, 1),
        "anonymous_mib": round(kib(status.get("RssAnon")) / 1024, 1),
        "file_mib": round(kib(status.get("RssFile")) / 1024, 1),
        "peak_rss_mib": round(kib(status.get("VmHWM")) / 1024, 1),
        "threads": int(status.get("Threads", 0)),
    }


print(f"memory: {SETTLE} s at rest", flush=True)
time.sleep(SETTLE)
managers, controllers = processes()
if len(managers) != 3 or len(controllers) != 1:
    sys.exit(f"memory: expected three managers and a controller, found {managers} and {controllers}")
idle = {name: memory(pid) for name, pid in sorted(managers.items())}
controller = memory(controllers[0])

print("memory: a backlog of 32 segments, archived four wide", flush=True)
cluster = json.loads(pgherd("status", *here, "-o", "json"))
primary = next(name for name in managers if pgherd("psql", *here, "--superuser", "--pod", name, "--", "-Atqc",
                                                  "select not pg_is_in_recovery()").strip() == "t")
pgherd("local", "fault", *here, "s3", "off")
sql("create table filler (a text)")
for _ in range(32):
    sql("insert into filler select md5(g::text) || md5((-g)::text) from generate_series(1, 90000) g; select pg_switch_wal()")
waiting = lambda: int(sql("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'"))
backlog = waiting()
pathlib.Path(f"/proc/{managers[primary]}/clear_refs").write_text("5")
began = time.time()
pgherd("local", "fault", *here, "heal")
highest, looked = memory(managers[primary]), time.time()
while True:
    seen = memory(managers[primary])
    highest = {key: max(value, highest[key]) for key, value in seen.items()}
    if time.time() > looked + 2:
        looked = time.time()
        if waiting() == 0:
            break
    if time.time() > began + 300:
        sys.exit("memory: the backlog was not archived within 300 s")
    time.sleep(EVERY)
archiving = {**highest, "segments": backlog, "seconds": round(time.time() - began, 1), "samples_every_s": EVERY}
time.sleep(SETTLE)
after = memory(managers[primary])

said = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.strip()
dirty = "-dirty" if said("git", "status", "--porcelain") else ""
report = {
    "commit": said("git", "rev-parse", "HEAD") + dirty,
    "command": "make bench",
    "started_at": started_at,
    "host": f"{os.cpu_count()} cores, {said('uname', '-srm')}",
    "load_before": float(load),
    "build": build,
    "budget_mib": {"manager_idle": 20, "manager_archiving": 120},
    "manager_idle": idle,
    "manager_archiving": archiving,
    "manager_after": after,
    "controller_idle": controller,
}
pathlib.Path("target/bench/memory.json").write_text(json.dumps(report, indent=2) + "\n")
worst = max(one["pss_mib"] for one in idle.values())
print(f"memory: manager {worst} MiB idle (budget 20), {archiving['pss_mib']} MiB archiving (budget 120), "
      f"controller {controller['pss_mib']} MiB; proportional set size, {build} build")
print("memory: the report is in target/bench/memory.json")
P
