#!/usr/bin/env bash
# Puts what a Kubernetes node needs beside its kubelet into one folder and prints it: containerd, runc, CNI plugins and
# iptables, unpacked from Debian's packages and not installed, so that no service starts; and the pause program of a
# pod's first container. Run again it only prints.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
dir="$root/target/tools/node-assets"
packages=(containerd runc containernetworking-plugins iptables libip4tc2 libip6tc2 libxtables12 conntrack
    libnetfilter-conntrack3 libnfnetlink0 libmnl0 libnftnl11 libseccomp2)
mkdir -p "$root/target/tools"
exec 9>"$root/target/tools/.node-assets.lock"
flock 9
if [ ! -x "$dir/pause" ]; then
    work=$(mktemp -d "$root/target/tools/.node-assets.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    fetch() { (cd "$work" && apt-get download -q "${packages[@]}" >&2); }
    # A new machine may have no list of packages yet.
    fetch || { apt-get update -q >&2 && fetch; }
    mkdir -p "$work/files/links"
    for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/files"; done
    # What Debian's alternatives would point at.
    for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -s ../usr/sbin/xtables-nft-multi "$work/files/links/$name"
    done
    cc -Os -static -o "$work/files/pause" "$root/tests/e2e/pause.c" >&2
    rm -rf "$dir"
    mv "$work/files" "$dir"
fi
echo "$dir"
