#!/usr/bin/env bash
# Runs clusters under random faults from seeds and writes target/chaos/report.json; what failed keeps its history in
# target/chaos/histories. Runs as root (it makes namespaces). RUNS=2 how many, SEED=1 the first one's, JOBS=1 clusters
# side by side, CONFIGURATION=asynchronous or synchronous (both by turns), SELF_TEST=1 first a run without the fence.
set -euo pipefail
cd "$(dirname "$0")/../.."
echo "chaos: building (output only if something is wrong)"
# The same selection as the tests build, so that nothing is built twice.
cargo build -q --workspace --bins
program=${CARGO_TARGET_DIR:-target}/debug/chaos
if [ "$(id -u)" -eq 0 ]; then exec "$program"; fi
sudo -n --preserve-env=RUNS,SEED,JOBS,CONFIGURATION,SELF_TEST "$program" && status=0 || status=$?
sudo -n chown -R "$(id -u):$(id -g)" target/chaos
exit "$status"
