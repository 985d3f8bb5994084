#!/usr/bin/env bash
# Builds the image of images/Dockerfile without Docker: target/image/pgherd.tar, an archive for `docker load`, `kind load
# image-archive` and `ctr -n k8s.io images import`; beside it the SBOM (CycloneDX) and the root as a directory.
# PROFILE=dist (release is quicker to build, dev quicker still, and larger), TAG=ghcr.io/pgherd/pgherd:VERSION, CARGO=cargo.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${PROFILE:-dist} cargo=${CARGO:-cargo}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
tag=${TAG:-ghcr.io/pgherd/pgherd:$version}
triple=$(uname -m)-unknown-linux-gnu
out=$PWD/target/image
mkdir -p "$out"

# The target is named, so that only what is linked into the programs is static, and not the compiler's own plugins.
RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=$out/build "$cargo" build --locked --quiet \
    --profile "$profile" --workspace --bin manager --bin wal-client --bin controller --target "$triple"
built=$out/build/$triple/$([ "$profile" = dev ] && echo debug || echo "$profile")

rm -rf "$out/root"
mkdir -p "$out/root/etc/ssl/certs"
for program in manager wal-client controller; do
    strip -o "$out/root/$program" "$built/$program"
    chmod 0755 "$out/root/$program"
done
# Instances mount a folder at /controller, also over this image, in their init container.
mv "$out/root/controller" "$out/root/pgherd-controller"
cp /etc/ssl/certs/ca-certificates.crt "$out/root/etc/ssl/certs/"
python3 images/sbom.py "$triple" >"$out/sbom.cdx.json"

# The same input gives the same bytes.
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$out/root" -cf "$work/layer.tar" .
python3 - "$work" "$tag" "$(uname -m)" <<'P'
import hashlib, json, pathlib, sys

work, tag, machine = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
digest = hashlib.sha256((work / "layer.tar").read_bytes()).hexdigest()
config = {
    "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[machine],
    "os": "linux",
    "config": {"User": "10001:10001", "Entrypoint": ["/pgherd-controller"], "Env": ["PATH=/"]},
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    "history": [{"created_by": "images/build.sh"}],
}
text = json.dumps(config, sort_keys=True).encode()
name = hashlib.sha256(text).hexdigest() + ".json"
(work / name).write_bytes(text)
(work / "manifest.json").write_text(json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]))
P
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -cf "$out/pgherd.tar" .
ls -l "$out/root/manager" "$out/root/wal-client" "$out/root/pgherd-controller" "$out/pgherd.tar" | awk '{printf "%8.1f MiB %s\n", $5 / 1048576, $9}'
printf '%8.1f MiB compressed\n' "$(gzip -6 -c "$out/pgherd.tar" | wc -c | awk '{print $1 / 1048576}')"
echo "$tag: $out/pgherd.tar, $(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))["components"]))' "$out/sbom.cdx.json") components in sbom.cdx.json"
