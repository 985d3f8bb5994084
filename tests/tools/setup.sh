#!/usr/bin/env bash
# Installs what the build, the demo and the tests need, by package name; run twice, it does nothing the second
# time. Debian's PostgreSQL is told not to start a cluster of its own: nothing here runs as a service.
set -euo pipefail

packages=(postgresql postgresql-contrib iproute2 nftables util-linux build-essential pkg-config python3-venv ca-certificates)

say() { printf 'setup: %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo -n "$@"; else
        say "needs root (or sudo without a password) to install: ${missing[*]}" >&2
        exit 1
    fi
}

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

if ! command -v dpkg-query >/dev/null; then
    say "this is not a Debian-like system; install by hand what these packages have: ${packages[*]}" >&2
    exit 1
fi
if ! command -v cargo >/dev/null; then
    say "cargo is not on the PATH: install Rust (rustup, or the distribution's cargo) of the version in Cargo.toml or later" >&2
    exit 1
fi

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    say "everything is installed"
    exit 0
fi

say "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Before postgresql is unpacked: no cluster "main", so no server on port 5432.
if ! is_installed postgresql; then
    as_root mkdir -p /etc/postgresql-common
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        printf 'create_main_cluster = false\n' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
fi
install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=120 "${missing[@]}"
}
if ! install >"$log" 2>&1; then
    say "the package lists are old; reading them again"
    as_root apt-get update -q -o DPkg::Lock::Timeout=120 >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    install >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
say "done"
