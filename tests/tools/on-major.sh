#!/usr/bin/env bash
# Runs a command where this machine has one PostgreSQL, of that major, and no other: in a mount namespace of its own, in
# which it is what Debian has. Needs root. Usage: tests/tools/on-major.sh MAJOR COMMAND...
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
debian=/usr/lib/postgresql
major=$1
shift
server=$root/target/tools/postgres/$major
[ -x "$server/bin/postgres" ] || server=$debian/$major
[ -x "$server/bin/postgres" ] || { echo "PostgreSQL $major is not here: tests/tools/postgres-majors.sh $major" >&2; exit 1; }
# Debian's own is hidden before it is bound again.
place=$root/target/tools/.on-major
mkdir -p "$place"
# shellcheck disable=SC2016
exec unshare --mount --propagation private sh -c '
    set -e
    mount --bind "$2" "$4"
    mount -t tmpfs -o mode=755,size=64k none "$1"
    mkdir "$1/$3"
    mount --bind "$4" "$1/$3"
    umount "$4"
    shift 4
    exec "$@"' on-major "$debian" "$server" "$major" "$place" "$@"
