#!/usr/bin/env bash
# Puts a real kube-apiserver, kube-controller-manager, etcd and kubectl into one folder, as KUBEBUILDER_ASSETS names
# it, and prints that folder; run again it only prints. Where KUBEBUILDER_ASSETS is set, that folder is what is used, and
# nothing is fetched. The servers are built from Debian's own source package (1.20.2: no newer one is packaged), which
# takes six minutes of CPU and, for the tools, root. Usage: tests/tools/kube-assets.sh [PROGRAM...]: kubelet and
# kube-scheduler are built too where they are named.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
programs=(kube-apiserver kube-controller-manager "$@")
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    for name in kube-apiserver kube-controller-manager etcd kubectl; do
        [ -x "$KUBEBUILDER_ASSETS/$name" ] || { echo "KUBEBUILDER_ASSETS has no $name: $KUBEBUILDER_ASSETS" >&2; exit 1; }
    done
    echo "$KUBEBUILDER_ASSETS"
    exit 0
fi
dir="$root/target/tools/kube-assets"
mkdir -p "$dir"
# Two at a time would build it twice.
exec 9>"$root/target/tools/.kube-assets.lock"
flock 9

[ -x "$dir/kubectl" ] || ln -sf "$("$root/tests/tools/kubectl.sh")" "$dir/kubectl"

missing=()
for name in "${programs[@]}"; do
    "$dir/$name" --version >/dev/null 2>&1 || missing+=("$name")
done
export DEBIAN_FRONTEND=noninteractive
install() {
    # A new machine may have no list of packages yet.
    apt-get install -y -q --no-install-recommends "$@" >&2 && return
    apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "$@" >&2
}
if ! "$dir/etcd" --version >/dev/null 2>&1; then
    # Only the program: the package, installed, would start a service.
    unpacked=$(mktemp -d "$dir/.etcd.XXXXXX")
    fetch() { (cd "$unpacked" && apt-get download -q etcd-server >&2); }
    fetch || { apt-get update -q >&2 && fetch; }
    dpkg-deb -x "$unpacked"/etcd-server_*.deb "$unpacked/files"
    rm -f "$dir/etcd"
    mv "$unpacked/files/usr/bin/etcd" "$dir/etcd"
    rm -rf "$unpacked"
fi
if [ ${#missing[@]} -eq 0 ]; then
    echo "$dir"
    exit 0
fi

install golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev dpkg-dev make rsync
work=$(mktemp -d "$dir/.build.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
# The machine's own sources, read for source packages as well.
mkdir -p "$work/parts" "$work/lists/partial"
sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/*.sources >"$work/parts/source.sources"
apt=(-q -o "Dir::Etc::sourceparts=$work/parts" -o Dir::Etc::sourcelist=/dev/null -o "Dir::State::lists=$work/lists")
apt-get update "${apt[@]}" >&2
(cd "$work" && apt-get source "${apt[@]}" --download-only kubernetes >&2)
mkdir -p "$work/go/src/k8s.io"
dpkg-source -x "$work"/kubernetes_*.dsc "$work/go/src/k8s.io/kubernetes" >&2
cd "$work/go/src/k8s.io/kubernetes"
# The vendored one crashes with this compiler.
rm vendor/github.com/modern-go/reflect2/*.go vendor/github.com/modern-go/reflect2/*.s
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} vendor/github.com/modern-go/reflect2/
rm -f vendor/github.com/modern-go/reflect2/*_test.go
export GOPATH=$work/go GO111MODULE=off CGO_ENABLED=0 PATH=/usr/lib/go-1.19/bin:$PATH
export KUBE_GIT_VERSION=v1.20.2 KUBE_GIT_COMMIT=debian KUBE_GIT_TREE_STATE=archive
make generated_files >&2
# Vendored, a package has its path in the whole.
version=k8s.io/kubernetes/vendor/k8s.io/component-base/version
for name in "${missing[@]}"; do
    go build -o "$dir/$name" -ldflags "-s -w -X $version.gitVersion=v1.20.2 -X $version.gitMajor=1 \
        -X $version.gitMinor=20 -X $version.gitCommit=debian -X $version.gitTreeState=archive" \
        "k8s.io/kubernetes/cmd/$name" >&2
done
echo "$dir"
