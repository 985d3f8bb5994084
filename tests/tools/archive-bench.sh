#!/usr/bin/env bash
# Measures WAL archiving beside barman-cloud-wal-archive, on WAL of a throw-away PostgreSQL and a SeaweedFS, and
# writes target/bench/archive.json. Leaves nothing running. Takes about three minutes once everything is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
repo=$PWD
mkdir -p target/bench
started_at=$(date -u +%Y-%m-%dT%H:%M:%SZ) load=$(cut -d' ' -f1 /proc/loadavg)
tools=$(tests/tools/interop.sh)
echo "building"
cargo build -q -p pgherd-manager --bin manager --example archive_command
cargo build -q -p pgherd-backup --example archive_bench
built=${CARGO_TARGET_DIR:-$repo/target}/debug
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
work=$(mktemp -d /tmp/pgherd-archive-bench.XXXXXX)
chmod 755 "$work"
weed_pid=
finish() {
    # It does not always end when it is asked to, and there is nothing in it to be kept.
    if [ -n "$weed_pid" ]; then kill -9 "$weed_pid" 2>/dev/null && wait "$weed_pid" 2>/dev/null || true; fi
    [ ! -f "$work/pg/postmaster.pid" ] || as_postgres "$bin/pg_ctl" -D "$work/pg" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT
as_postgres() {
    if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@"); else "$@"; fi
}
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }

scale=${BENCH_SCALE:-50} most=${BENCH_SEGMENTS_MOST:-24}
echo "making WAL: a throw-away PostgreSQL under pgbench's TPC-B at scale $scale"
mkdir "$work/pg" "$work/run"
[ "$(id -u)" != 0 ] || chown postgres "$work/pg" "$work/run"
as_postgres "$bin/initdb" -D "$work/pg" -A trust -U postgres >/dev/null
pg_port=$(free_port)
as_postgres "$bin/pg_ctl" -D "$work/pg" -w -l "$work/run/log" start -o "-k $work/run -h '' -p $pg_port -c fsync=off \
    -c full_page_writes=on -c wal_keep_size=4GB -c max_wal_size=4GB -c shared_buffers=256MB" >/dev/null
sql() { as_postgres "$bin/psql" -h "$work/run" -p "$pg_port" -U postgres -Atqc "$1" postgres; }
pgbench() { as_postgres "$bin/pgbench" -h "$work/run" -p "$pg_port" -U postgres "$@" postgres >/dev/null 2>&1; }
pgbench -i -q -I dt -s "$scale"
# pgbench pads its rows with blanks, which no real table holds and any compressor makes nothing of.
sql "insert into pgbench_branches select g, 0 from generate_series(1, $scale) g"
sql "insert into pgbench_tellers select g, (g - 1) / 10 + 1, 0 from generate_series(1, $scale * 10) g"
sql "insert into pgbench_accounts select g, (g - 1) / 100000 + 1, 0, md5(g::text) || md5((-g)::text)
     from generate_series(1, $scale * 100000) g"
pgbench -i -q -I vp -s "$scale"
sql checkpoint
first=$(sql 'select pg_walfile_name(pg_switch_wal())')
whole() { ls "$work/pg/pg_wal" | grep -E '^[0-9A-F]{24}$' | awk -v a="$first" -v z="$last" '$1 > a && $1 < z'; }
# In rounds, until there are enough: how much WAL a round makes depends on the machine.
for _ in 1 2 3 4 5 6; do
    pgbench -n -c 4 -j 2 -T "${BENCH_PGBENCH_SECONDS:-15}"
    last=$(sql 'select pg_walfile_name(pg_current_wal_lsn())')
    [ "$(whole | wc -l)" -lt "$most" ] || break
done
as_postgres "$bin/pg_ctl" -D "$work/pg" -w -m fast stop >/dev/null
mkdir "$work/segments"
for file in $(whole | head -n "$most"); do
    cp "$work/pg/pg_wal/$file" "$work/segments/"
done
chmod -R a+r "$work/segments"
echo "$(ls "$work/segments" | wc -l) segments"

echo "starting SeaweedFS"
read -r master volume filer s3 < <(python3 - <<'P'
import socket
kept, ports = [], []
while len(ports) < 4:
    s = socket.socket(); s.bind(("127.0.0.1", 0)); p = s.getsockname()[1]; kept.append(s)
    if p + 10000 < 65536:
        ports.append(str(p))
print(*ports)
P
)
cat >"$work/s3.json" <<J
{"identities":[{"name":"bench","credentials":[{"accessKey":"benchkey","secretKey":"benchsecret"}],"actions":["Admin","Read","Write","List","Tagging"]}]}
J
mkdir "$work/weed"
"$tools/bin/weed" server -dir="$work/weed" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.port="$master" -volume.port="$volume" \
    -filer -filer.port="$filer" -s3 -s3.port="$s3" -s3.config="$work/s3.json" -master.volumeSizeLimitMB=256 -volume.max=200 \
    >"$work/weed.log" 2>&1 &
weed_pid=$!
export AWS_ACCESS_KEY_ID=benchkey AWS_SECRET_ACCESS_KEY=benchsecret AWS_DEFAULT_REGION=us-east-1
export BENCH_ENDPOINT=http://127.0.0.1:$s3 BENCH_BUCKET=bench
"$tools/bin/python" - <<'P'
import os, time, boto3, botocore
deadline = time.time() + 60
s3 = boto3.client("s3", endpoint_url=os.environ["BENCH_ENDPOINT"], config=botocore.config.Config(retries={"max_attempts": 0}))
while True:
    try:
        s3.create_bucket(Bucket="bench"); break
    except Exception:
        if time.time() > deadline: raise
        time.sleep(0.2)
P
echo "measuring archive_command: the client, with every segment stored by the look-ahead before"
export BENCH_SEGMENTS=$work/segments BENCH_BARMAN=$tools/bin/barman-cloud-wal-archive BENCH_OUT=$repo/target/bench/archive.json
mkdir "$work/command"
BENCH_COMMAND=$(BENCH_WORK=$work/command BENCH_MANAGER=$built/manager "$built/examples/archive_command")
echo "$BENCH_COMMAND"
echo "measuring ours and barman"
export BENCH_COMMAND BENCH_STARTED_AT=$started_at BENCH_LOAD=$load
BENCH_COMMIT=$(git rev-parse HEAD)$(git diff --quiet HEAD || echo -dirty)
BENCH_HOST="$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(uname -srm)"
BENCH_WAL="$("$bin/postgres" --version), pgbench TPC-B at scale $scale, full_page_writes on, filler of hex digits"
BENCH_BARMAN_VERSION=$("$tools/bin/barman-cloud-wal-archive" --version)
export BENCH_COMMIT BENCH_HOST BENCH_WAL BENCH_BARMAN_VERSION BENCH_BUILD="debug, dependencies optimised"
"$built/examples/archive_bench"
# What barman restores of ours has to be what postgres wrote.
one=$(ls "$work/segments" | head -1)
"$tools/bin/barman-cloud-wal-restore" --endpoint-url "$BENCH_ENDPOINT" "s3://bench/ours" c "$one" "$work/restored"
cmp "$work/restored" "$work/segments/$one" && echo "barman-cloud-wal-restore reads ours: $one is the same"
