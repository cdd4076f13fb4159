#!/usr/bin/env bash
# Runs schemathesis against a running server and the OpenAPI document that it serves.
#
#   e2e/schemathesis/run.sh PUBLIC_URL OPERATOR_URL SEED EXAMPLES_MAX VENV
#
# Finds: a 500, a status or header or content type that the document does not have, a body that does not fit its schema,
# invalid requests that are accepted, wrong answers to unknown methods. Ends with 1 if it found any.
set -euo pipefail

public_url=$1 operator_url=$2 seed=$3 examples_max=$4 venv=$5
here=$(cd "$(dirname "$0")" && pwd)

if ! "$venv/bin/python" -m pip freeze 2>/dev/null | diff -q - "$here/requirements.txt" >/dev/null; then
    echo "    installing schemathesis into $venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$here/schemathesis.toml" "$here/hooks.py" "$scratch"
cd "$scratch"
curl --silent --show-error --fail "$public_url/openapi.json" >whole.json

# One document describes both listeners; what each of them serves is told by the tags of its operations.
"$venv/bin/python" - <<'PYTHON'
import json

for listener, other in (("public", "operator"), ("operator", "public")):
    document = json.load(open("whole.json"))
    foreign = {other} if listener == "public" else {other, "scenarios"}
    for path, item in list(document["paths"].items()):
        for method, operation in list(item.items()):
            if isinstance(operation, dict) and foreign & set(operation.get("tags", [])):
                del item[method]
        if not any(isinstance(operation, dict) for operation in item.values()):
            del document["paths"][path]
    json.dump(document, open(f"{listener}.json", "w"))
PYTHON

run() {
    "$venv/bin/st" run "$1.json" --url "$2" \
        --phases examples,coverage,fuzzing --max-examples "$examples_max" --seed "$seed" \
        --generation-database none --workers 1 --continue-on-failure --no-color
}

found=0
run operator "$operator_url" || found=1
run public "$public_url" || found=1
exit $found
