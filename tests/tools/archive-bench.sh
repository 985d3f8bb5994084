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
# The same selection as the tests build, so that nothing is built twice.
cargo build -q --workspace --bin wal-client --example archive_command --example archive_bench
built=${CARGO_TARGET_DIR:-$repo/target}/debug
. tests/tools/bench-servers.sh

scale=${BENCH_SCALE:-50} most=${BENCH_SEGMENTS_MOST:-24}
echo "making WAL: a throw-away PostgreSQL under pgbench's TPC-B at scale $scale"
start_postgres "$scale" -c wal_keep_size=4GB
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
start_seaweed
echo "measuring archive_command: the client, with every segment stored by the look-ahead before"
export BENCH_SEGMENTS=$work/segments BENCH_BARMAN=$tools/bin/barman-cloud-wal-archive BENCH_OUT=$repo/target/bench/archive.json
mkdir "$work/command"
BENCH_COMMAND=$(BENCH_WORK=$work/command BENCH_CLIENT=$built/wal-client "$built/examples/archive_command")
echo "$BENCH_COMMAND"
echo "measuring ours and barman"
export BENCH_COMMAND BENCH_STARTED_AT=$started_at BENCH_LOAD=$load
describe_bench
BENCH_WAL="$("$bin/postgres" --version), pgbench TPC-B at scale $scale, full_page_writes on, filler of hex digits"
BENCH_BARMAN_VERSION=$("$tools/bin/barman-cloud-wal-archive" --version)
export BENCH_WAL BENCH_BARMAN_VERSION
"$built/examples/archive_bench"
# What barman restores of ours has to be what postgres wrote.
one=$(ls "$work/segments" | head -1)
"$tools/bin/barman-cloud-wal-restore" --endpoint-url "$BENCH_ENDPOINT" "s3://bench/ours" c "$one" "$work/restored"
cmp "$work/restored" "$work/segments/$one" && echo "barman-cloud-wal-restore reads ours: $one is the same"
