#!/usr/bin/env bash
# Looks at the pages of a running server with a real browser.
#
#   e2e/browser/run.sh PUBLIC_URL OPERATOR_URL OPERATOR_KEY JWT_SECRET DIGITS MODULES
#
# Installs playwright-core, axe-core and the ALTCHA widget into the folder MODULES when they are missing. The browser is Debian's package
# chromium-headless-shell. Ends with 1 at the first thing that is not as it should be.
set -euo pipefail

modules=$6
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$modules"
if ! cmp -s "$here/package-lock.json" "$modules/installed.json"; then
    echo "    installing playwright-core, axe-core and altcha into $modules"
    cp "$here/package.json" "$here/package-lock.json" "$modules"
    (cd "$modules" && npm ci --silent --no-audit --no-fund)
    cp "$here/package-lock.json" "$modules/installed.json"
fi
cp "$here/flash_sale.mjs" "$modules"
exec node "$modules/flash_sale.mjs" "${@:1:5}"
