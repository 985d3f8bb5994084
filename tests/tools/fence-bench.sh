#!/usr/bin/env bash
# Cuts a primary with 200 clients off, again and again, and writes how long after its last renewal nothing of postgres
# was left to target/bench/fence.json. Runs as root (it makes namespaces). RUNS=5 is how often.
set -euo pipefail
cd "$(dirname "$0")/../.."
echo "fence: building (output only if something is wrong)"
# The same selection as the tests build, so that nothing is built twice.
cargo build -q --workspace --bins
program=${CARGO_TARGET_DIR:-target}/debug/bench-fence
if [ "$(id -u)" -eq 0 ]; then exec "$program"; fi
sudo -n --preserve-env=RUNS "$program" && status=0 || status=$?
sudo -n chown -R "$(id -u):$(id -g)" target/bench
exit "$status"
