#!/usr/bin/env bash
# Runs schemathesis against a running server and the OpenAPI document that it serves.
#
#   e2e/schemathesis/run.sh PUBLIC_URL OPERATOR_URL SEED EXAMPLES_MAX VENV
#
# Finds: a 500, a status or header or content type that the document does not have, a body that does not fit its schema,
# invalid requests that are accepted, valid ones that are refused as invalid, wrong answers to unknown methods.
set -euo pipefail

public_url=$1 operator_url=$2 seed=$3 examples_max=$4 venv=$5
here=$(cd "$(dirname "$0")" && pwd)

if ! "$venv/bin/python" -m pip freeze 2>/dev/null | diff -q - "$here/requirements.txt" >/dev/null; then
    echo "    installing schemathesis into $venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi

document=$(mktemp)
trap 'rm -f "$document"' EXIT
curl --silent --show-error --fail "$public_url/openapi.json" >"$document"

# Operations of the operator listener carry the tag "operator" in the document.
run() {
    "$venv/bin/st" run "$document" --url "$1" "${@:2}" \
        --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance \
        --phases examples,coverage,fuzzing --max-examples "$examples_max" --seed "$seed" \
        --generation-database none --workers 1 --continue-on-failure --no-color
}

cd "$(dirname "$document")"
run "$operator_url" --include-tag operator
run "$public_url" --exclude-tag operator
