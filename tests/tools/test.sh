#!/usr/bin/env bash
# Runs the tiers of `make test`, cheapest first, each against its time budget; prints what ran and how long it
# took, and ends with one line of totals. Tiers may be named: `tests/tools/test.sh unit golden`.
set -uo pipefail
cd "$(dirname "$0")/../.."
logs=target/test
mkdir -p "$logs"
export CARGO_TERM_PROGRESS_WHEN=never RUST_BACKTRACE=1
# What incremental builds note down is of use only to the next one.
if [ -n "${CI:-}" ]; then export CARGO_INCREMENTAL=0; fi

# Tier, seconds, what it is. A budget that is passed is reported, not a failure: machines differ. A tier that takes
# three times as long hangs: it is ended, and the others run.
tiers=(
    "build 900 compile the workspace and its tests, once"
    "lint 300 formatting, clippy without a warning, the house's own checks"
    "unit 180 tables, properties and tests of one crate"
    "golden 60 decisions compared with committed plans"
    "chart 120 the chart by the real Helm: against Kubernetes' schemas, promtool, an API server"
    "model 240 core's own decisions through every order of events, within bounds"
    "interop 600 each crate against real things: postgres, kubectl, S3, processes in namespaces"
    "barman 180 the WAL archive on SeaweedFS, beside barman, both installed if they are missing"
    "cluster 780 whole clusters on real PostgreSQL, broken on purpose"
    "majors 300 each major of PostgreSQL from 14 to 18: its programs, and a cluster's life; what Debian lacks is fetched"
    "kube 720 the same against a real kube-apiserver with RBAC, built if KUBEBUILDER_ASSETS is unset; answers compared"
    "chaos 300 faults of fixed seeds while clients write, judged by what they wrote down; hours of it: make chaos"
)

wanted() { [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]; }
exists() { [ -e "tests/$1.rs" ] || [ -e "tests/$1/main.rs" ] || grep -qs "name = \"$1\"" tests/Cargo.toml; }

# The integration tests of the crates, by name, so that the selection of packages (and with it what is built) is
# the same in every tier.
of_crates() {
    local file
    for file in crates/*/tests/*.rs {manager,controller,proto}/tests/*.rs; do
        [ -e "$file" ] && basename "$file" .rs
    done
    for file in crates/*/tests/*/main.rs {manager,controller,proto}/tests/*/main.rs; do
        [ -e "$file" ] && basename "$(dirname "$file")"
    done
    return 0
}

# Selected as everything else is: `-p xtask` alone would build its dependencies anew, with other features.
xtask() { cargo build -q --workspace --bin xtask && "${CARGO_TARGET_DIR:-target}/debug/xtask" "$@"; }

# The same deny.toml as `xtask check` enforces, where the real program is at hand. Advisories are asked of somebody.
cargo_deny() {
    if ! cargo deny --version >/dev/null 2>&1; then return 0; fi
    cargo deny --locked check --hide-inclusion-graph licenses bans sources
}

# What the crates do with postgres itself, on each that was fetched; on Debian's own that is a part of interop.
each_major() {
    local folder
    for folder in target/tools/postgres/*/; do
        tests/tools/on-major.sh "$(basename "$folder")" cargo test --workspace --no-fail-fast \
            --test majors --test real_postgres --test postgres_log --test metrics -- --skip the_end_of_wal || return
    done
}

run_tier() {
    case $1 in
        build) cargo build --workspace --bins && cargo test --workspace --no-run ;;
        lint)
            cargo fmt --all --check && cargo clippy --workspace --all-targets -- -D warnings &&
                xtask check && cargo_deny
            ;;
        # By name: of the other programs none has tests, and a harness for each is seconds to link.
        unit) cargo test --workspace --no-fail-fast --lib --bin pgherd --bin xtask ;;
        model) cargo test --profile model -p pgherd-model --test model -- --nocapture ;;
        interop) # shellcheck disable=SC2046
            cargo test --workspace --no-fail-fast $(of_crates | sort -u | sed 's/^/--test /') ;;
        barman) tests/tools/interop.sh && cargo test --workspace --test interop ;;
        cluster) tests/tools/interop.sh && cargo test --workspace --test cluster -- --test-threads=2 --nocapture --skip majors:: ;;
        majors) tests/tools/postgres-majors.sh && each_major &&
            cargo test --workspace --test cluster -- --test-threads=1 --nocapture majors:: ;;
        kube) tests/tools/kube-assets.sh && cargo test --workspace --test kube -- --test-threads=1 --nocapture ;;
        chaos) cargo test --workspace --test chaos -- --test-threads=1 --nocapture ;;
        *) cargo test --workspace --test "$1" ;;
    esac
}

# One tier by itself, so that it can be ended as a whole.
if [ "${1:-}" = --tier ]; then
    run_tier "$2"
    exit
fi

# What the kube tier runs takes six minutes of CPU to build. Tiers before it mostly wait: it is built beside them, of what
# they leave, and the tier itself waits for it, or does again what failed here.
build_kube_assets() {
    chrt -i 0 timeout -k 10 3600 tests/tools/kube-assets.sh </dev/null >"$logs/kube-assets.log" 2>&1 &
    # timeout ends the whole group that it has made of it.
    trap 'kill $(jobs -rp) 2>/dev/null; wait' EXIT
    aside=begun
}

only=("$@") aside=
passed=0 failed=0 broken=0 summary=() began=$SECONDS
for line in "${tiers[@]}"; do
    read -r tier budget what <<<"$line"
    wanted "$tier" || continue
    case $tier in build | lint | unit | model | interop | barman | majors) ;; *) exists "$tier" || continue ;; esac
    # Not before: the chart tier reads apt's lists, which may be fetched anew for it.
    case $tier in model | interop | barman | cluster | majors) if [ -z "$aside" ] && wanted kube; then build_kube_assets; fi ;; esac
    printf '\n== %s: %s (budget %d s)\n' "$tier" "$what" "$budget"
    start=$SECONDS
    timeout -k 10 $((3 * budget)) tests/tools/test.sh --tier "$tier" </dev/null 2>&1 | tee "$logs/$tier.log"
    status=${PIPESTATUS[0]}
    took=$((SECONDS - start))
    case $status in 124 | 137) printf '%s: hangs, ended after %d s\n' "$tier" "$took" ;; esac
    ok=$(awk '/^test result:/ {for (i = 1; i < NF; i++) if ($(i + 1) ~ /^passed/) n += $i} END {print n + 0}' "$logs/$tier.log")
    bad=$(awk '/^test result:/ {for (i = 1; i < NF; i++) if ($(i + 1) ~ /^failed/) n += $i} END {print n + 0}' "$logs/$tier.log")
    # A tier that counts no tests is one check by itself; one that broke outside of its tests is one failure.
    case $tier in build | lint) [ "$status" -eq 0 ] && ok=1 || bad=1 ;; *) [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1 ;; esac
    passed=$((passed + ok)) failed=$((failed + bad))
    over=; [ "$took" -gt "$budget" ] && over=', over budget'
    summary+=("$(printf '%-8s %5d passed %4d failed  %5d s of %4d s%s' "$tier" "$ok" "$bad" "$took" "$budget" "$over")")
    printf '== %s\n' "${summary[-1]}"
    if [ "$status" -ne 0 ]; then
        broken=1
        # Without a build there is nothing to run.
        [ "$tier" = build ] && break
    fi
done

printf '\n== what ran, in %d s\n' "$((SECONDS - began))"
printf '%s\n' "${summary[@]}"
printf '\n%d passed, %d failed\n' "$passed" "$failed"
exit "$broken"
