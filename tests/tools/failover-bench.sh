#!/usr/bin/env bash
# Kills the primary of the seed's cluster in several ways, again and again, and writes target/bench/failover.json.
# Runs as root (it makes namespaces). RUNS=5 is how often each; SCENARIOS=postmaster_killed,... is which;
# CONFIGURATION=asynchronous or synchronous, else both.
set -euo pipefail
cd "$(dirname "$0")/../.."
echo "failover: building (output only if something is wrong)"
# The same selection as the tests build, so that nothing is built twice.
cargo build -q --workspace --bins
program=${CARGO_TARGET_DIR:-target}/debug/bench-failover
if [ "$(id -u)" -eq 0 ]; then exec "$program"; fi
sudo -n --preserve-env=RUNS,SCENARIOS,CONFIGURATION "$program" && status=0 || status=$?
sudo -n chown -R "$(id -u):$(id -g)" target/bench
exit "$status"
