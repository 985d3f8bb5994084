#!/usr/bin/env bash
# Puts a real kube-apiserver at target/tools/kube-apiserver and prints its path; run again it only prints. It is built
# from Debian's own source package (version 1.20.2: no newer one is packaged), which takes ten minutes or so, needs
# root to install the tools, and is needed only to record answers anew: no test runs it.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${1:-"$root/target/tools"}
out="$dir/kube-apiserver"
if "$out" --version >/dev/null 2>&1; then
    echo "$out"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -q --no-install-recommends golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev \
    dpkg-dev rsync etcd-server >&2
mkdir -p "$dir"
work=$(mktemp -d "$dir/.kube-apiserver.XXXXXX")
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
export GOPATH=$work/go GO111MODULE=off CGO_ENABLED=0 PATH=/usr/lib/go-1.19/bin:$PATH
export KUBE_GIT_VERSION=v1.20.2 KUBE_GIT_COMMIT=debian KUBE_GIT_TREE_STATE=archive
make generated_files >&2
version=k8s.io/component-base/version
go build -o "$out" -ldflags "-s -w -X $version.gitVersion=v1.20.2 -X $version.gitMajor=1 -X $version.gitMinor=20 \
    -X $version.gitCommit=debian -X $version.gitTreeState=archive" k8s.io/kubernetes/cmd/kube-apiserver >&2
echo "$out"
