#!/usr/bin/env bash
# Walks through the page of each example server in headless Chromium, and lets hostile pages try. Needs Node and Chromium,
# the latter in KNOX_TEST_CHROMIUM or in PATH. Leaves pictures of the page in target/browser.
set -euo pipefail
cd "$(dirname "$0")/../.."

# For the whole workspace, as the other checks build it.
cargo build --locked --quiet --workspace --example axum --example actix --example rocket

folder=target/browser
mkdir -p "$folder"
cp tests/browser/package.json "$folder"
(cd "$folder" && npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error)
# Where Node looks for what the script imports.
cp tests/browser/walk.mjs "$folder"
KNOX_TEST_CHROMIUM=${KNOX_TEST_CHROMIUM:-$(command -v chromium)} exec node "$folder/walk.mjs" target/debug/examples "$folder"
