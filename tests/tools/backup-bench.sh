#!/usr/bin/env bash
# Measures WAL archiving, base backups and restores beside barman-cloud and pgBackRest: the same database and WAL, the same
# SeaweedFS, one after the other; writes target/bench/archive.json, backup.json and restore.json. SIZE is that of the
# database in MiB (512). Leaves nothing running. Takes about eight minutes once everything is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
repo=$PWD
mkdir -p target/bench
export BENCH_STARTED_AT BENCH_LOAD
BENCH_STARTED_AT=$(date -u +%Y-%m-%dT%H:%M:%SZ) BENCH_LOAD=$(cut -d' ' -f1 /proc/loadavg)
tools=$(tests/tools/interop.sh)
if ! command -v pgbackrest >/dev/null; then
    echo "backup-bench: installing pgbackrest"
    as_root=; [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends pgbackrest >/dev/null
fi
echo "backup-bench: building (output only if something is wrong)"
# The same selection as the tests build, so that nothing is built twice.
cargo build -q --workspace --bin wal-client --example archive_command --example backup_bench
. tests/tools/bench-servers.sh

size=${SIZE:-512}
scale=$(((size + 14) / 15))
echo "backup-bench: a throw-away PostgreSQL with $size MiB like pgbench's, and some WAL of it"
mkdir "$work/archived" "$work/pgbackrest"
[ "$(id -u)" != 0 ] || chown postgres "$work/archived" "$work/pgbackrest"
start_postgres "$scale" -c archive_mode=on -c archive_command="'cp %p $work/archived/%f'"
first=$(sql 'select pg_walfile_name(pg_switch_wal())')
mkdir "$work/segments"
whole() { ls "$work/archived" | grep -E '^[0-9A-F]{24}$' | awk -v a="$first" '$1 > a'; }
for _ in 1 2 3 4 5 6; do
    pgbench -n -c 4 -j 2 -T 10
    [ "$(whole | wc -l)" -lt 24 ] || break
done
for file in $(whole | head -n 24); do cp "$work/archived/$file" "$work/segments/"; done
chmod -R a+rX "$work/segments"
sql 'vacuum'
sql 'checkpoint'
start_seaweed
describe_bench
export BENCH_SIZE=$size BENCH_WORK=$work BENCH_PGDATA=$work/pg BENCH_SOCKET=$work/run BENCH_PORT=$pg_port
export BENCH_SEGMENTS=$work/segments BENCH_TOOLS=$tools/bin BENCH_REPORTS=$repo/target/bench
built=${CARGO_TARGET_DIR:-$repo/target}/debug
export BENCH_CLIENT=$built/wal-client BENCH_OURS=$built/examples/backup_bench
export BENCH_ARCHIVE_COMMAND=$built/examples/archive_command BENCH_COMMAND_WORK=$work/command
mkdir "$BENCH_COMMAND_WORK"
BENCH_VERSIONS="$("$bin/postgres" --version); barman $("$tools/bin/barman-cloud-backup" --version | sed 's/.* //'); $(pgbackrest version)"
export BENCH_VERSIONS
"$tools/bin/python" tests/tools/backup_bench.py
