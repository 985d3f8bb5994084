#!/usr/bin/env bash
# `make demo`: installs what is missing, builds, and runs the demo's program as root (it makes namespaces).
set -euo pipefail
cd "$(dirname "$0")/../.."
echo "demo: three instances, a killed primary, every acknowledged row found again; a lost table, restored to the second before"
echo "demo: about 8 minutes on a bare machine with two cores, most of it the first build; then half a minute to three"
tests/tools/setup.sh
start=$SECONDS
echo "demo: building (output only if something is wrong)"
# The same selection as the tests build, so that nothing is built twice.
cargo build -q --workspace --bins
echo "demo: built in $((SECONDS - start)) s"
if [ "$(id -u)" -eq 0 ]; then exec "${CARGO_TARGET_DIR:-target}/debug/demo"; fi
sudo -n --preserve-env=KEEP "${CARGO_TARGET_DIR:-target}/debug/demo" && status=0 || status=$?
sudo -n chown -R "$(id -u):$(id -g)" target/demo
exit "$status"
