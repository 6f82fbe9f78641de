#!/bin/sh
# What `make demo` shows: one virtualenv on this machine, from wheels to a page that tells what runs in it.
# BIN is the folder of envfab's programs, DOWNLOADS that of the wheels to take into the house.
set -eu

fab() {
    printf '\n$ fab %s\n' "$*"
    "$BIN/fab" "$@"
}

mkdir -p .demo
printf '\n$ fab collector &\n'
"$BIN/fab" collector >.demo/collector.log 2>&1 &
collector=$!
trap 'kill $collector 2>/dev/null || true; wait $collector 2>/dev/null || true' EXIT
"$BIN/python" examples/collector_page.py --wait || { cat .demo/collector.log; exit 1; }

fab add_wheel "$DOWNLOADS"/*.whl
fab create_virtualenv
fab plan
fab deploy:localhost,yes=true
fab register
fab plan --check

printf '\nWhat runs there, as its page says (while `fab collector` runs, which this ends now):\n'
"$BIN/python" examples/collector_page.py
