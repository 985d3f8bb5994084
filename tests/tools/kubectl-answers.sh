#!/usr/bin/env bash
# Records anew what kubectl says against a real kube-apiserver: crates/localkube/tests/answers/kubectl.txt, which the
# test `kubectl_answers_as_against_a_real_api_server` holds the local one against. Look at the difference before you
# commit it. Usage: tests/tools/kubectl-answers.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
assets=$("$root/tests/tools/kube-assets.sh")
apiserver=$assets/kube-apiserver kubectl=$assets/kubectl
work=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT
read -r client peer secure < <(/usr/bin/python3 -c '
import socket
kept = [socket.socket() for _ in range(3)]
for s in kept: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in kept))')
url=http://127.0.0.1
"$assets/etcd" --data-dir "$work/etcd" --listen-client-urls "$url:$client" --advertise-client-urls "$url:$client" \
    --listen-peer-urls "$url:$peer" --initial-advertise-peer-urls "$url:$peer" --initial-cluster "default=$url:$peer" \
    >"$work/etcd.log" 2>&1 &
pids+=($!)
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
(umask 077 && echo "$token,admin,admin,system:masters" >"$work/tokens")
openssl genrsa -out "$work/account.key" 2048 2>/dev/null
"$apiserver" --etcd-servers="$url:$client" --bind-address=127.0.0.1 --secure-port="$secure" --cert-dir="$work/pki" \
    --token-auth-file="$work/tokens" --authorization-mode=RBAC --service-cluster-ip-range=10.96.0.0/16 \
    --service-account-issuer=https://localhost --service-account-key-file="$work/account.key" \
    --service-account-signing-key-file="$work/account.key" --endpoint-reconciler-type=none \
    >"$work/apiserver.log" 2>&1 &
pids+=($!)
export KUBECONFIG=$work/kubeconfig HOME=$work
"$kubectl" config set-cluster real --server="https://127.0.0.1:$secure" --insecure-skip-tls-verify >/dev/null
"$kubectl" config set-credentials admin --token="$token" >/dev/null
"$kubectl" config set-context real --cluster=real --user=admin >/dev/null
"$kubectl" config use-context real >/dev/null
for _ in $(seq 300); do
    [ "$("$kubectl" get --raw /readyz 2>/dev/null)" = ok ] && break
    sleep 0.2
done
"$kubectl" get --raw /readyz >/dev/null || { tail -20 "$work/apiserver.log" >&2; exit 1; }
out=$root/crates/localkube/tests/answers/kubectl.txt
"$root/crates/localkube/tests/answers/steps.sh" "$kubectl" "$root" >"$out.new"
mv "$out.new" "$out"
git -C "$root" --no-pager diff --stat -- "$out"
