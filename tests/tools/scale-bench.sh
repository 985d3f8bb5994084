#!/usr/bin/env bash
# Measures one controller with SCALE=1000 clusters of three, against a real kube-apiserver and etcd and a node that fakes
# pods, and writes target/bench/scale.json. BUILD=release measures a release build of the controller (which is made first,
# and takes minutes), and so are the faked managers, who share the machine; BUILD=debug that of the tests. SCALE_LEASE=300/200/60 has the leases renewed so rarely that a small
# machine can hold a thousand.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-release}
tests/tools/kube-assets.sh >/dev/null
echo "scale: building ($build; output only if something is wrong)"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
release=()
if [ "$build" = release ]; then release=(--release); fi
cargo build -q "${release[@]}" --workspace --bin controller
export SCALE=${SCALE:-1000} SCALE_CONTROLLER=$target/$build/controller
# Three thousand managers are dialled and dial from one process.
ulimit -n "$(ulimit -Hn)"
exec cargo test -q "${release[@]}" --workspace --test scale -- --ignored --nocapture
