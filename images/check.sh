#!/usr/bin/env bash
# Shows that the programs of target/image/pgherd.tar need nothing but what is in the archive: they are static, run in a
# root that has nothing else, resolve names by DNS and believe the authorities of the image. Needs root (or sudo).
set -euo pipefail
cd "$(dirname "$0")/.."
[ -e target/image/pgherd.tar ] || { echo "make image builds it first" >&2; exit 1; }
if [ "$(id -u)" -ne 0 ]; then exec sudo -n "$0" "$@"; fi
work=$(mktemp -d /var/tmp/pgherd-image.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir "$work/archive" "$work/root"
tar -C "$work/archive" -xf target/image/pgherd.tar
tar -C "$work/root" -xf "$work/archive/layer.tar"
for program in manager wal-client pgherd-controller; do
    if readelf -lW "$work/root/$program" | grep -q INTERP; then echo "$program asks for a loader" >&2; exit 1; fi
done
for program in manager pgherd-controller; do
    chroot --userspec=10001:10001 "$work/root" "/$program" --version
done
# What an instance's init container mounts over the image: a runtime makes folders for it, and fails on a program there.
for folder in controller run dev/shm var/lib/postgresql/data var/lib/postgresql/wal; do
    [ ! -e "$work/root/$folder" ] || [ -d "$work/root/$folder" ] ||
        { echo "/$folder of the image is no folder: nothing can be mounted there" >&2; exit 1; }
done
# What a runtime puts into /dev, of what a program asks for.
mkdir "$work/root/dev"
mknod -m 666 "$work/root/dev/null" c 1 3
mknod -m 666 "$work/root/dev/random" c 1 8
mknod -m 666 "$work/root/dev/urandom" c 1 9
# What the init container does, with a root that it cannot write to but for its volume.
mkdir "$work/root/target" "$work/root/proc" && chown 26:26 "$work/root/target"
# A runtime mounts /proc; the mount is gone with its namespace.
unshare --mount sh -c 'mount -t proc proc "$1/proc" && exec chroot --userspec=26:26 "$1" /manager bootstrap /target/manager' \
    sh "$work/root"
cmp "$work/root/manager" "$work/root/target/manager"
cmp "$work/root/wal-client" "$work/root/target/wal-client"
cmp "$work/root/etc/ssl/certs/ca-certificates.crt" "$work/root/target/ca-certificates.crt"
# In a network of its own, so that port 53 is free and nobody else is asked.
unshare --net python3 images/check.py "$work"
echo "the image stands alone"
