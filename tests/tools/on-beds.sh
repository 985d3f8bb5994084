#!/usr/bin/env bash
# on-beds.sh PROGRAM DIRECTORY VARIABLES: builds a program that starts clusters of its own and runs it as root, since it
# makes namespaces; it hears of the VARIABLES, and what it writes into target/DIRECTORY belongs to whoever asked.
# BUILD=release builds what the benchmarks measure (for minutes); the default is the build of the demo and the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-debug}
echo "$1: building ($build; output only if something is wrong)"
# The same selection as the tests build, so that nothing is built twice.
if [ "$build" = release ]; then cargo build -q --release --workspace --bins; else cargo build -q --workspace --bins; fi
program=${CARGO_TARGET_DIR:-target}/$build/$1
if [ "$(id -u)" -eq 0 ]; then exec "$program"; fi
sudo -n --preserve-env="$3" "$program" && status=0 || status=$?
sudo -n chown -R "$(id -u):$(id -g)" "target/$2"
exit "$status"
