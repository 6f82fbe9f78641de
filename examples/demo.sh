#!/bin/sh
# What `make demo` shows: one virtualenv on this machine, from wheels to a page that shows what runs in it.
# BIN is the folder of envfab's programs, DOWNLOADS that of the wheels to add to the wheelhouse.
set -eu

fab() {
    printf '\n$ fab %s\n' "$*"
    "$BIN/fab" "$@"
}

mkdir -p .demo
printf '\n$ fab collector --data .demo/collector &\n'
"$BIN/fab" collector --data .demo/collector >.demo/collector.log 2>&1 &
collector=$!
trap 'kill $collector 2>/dev/null || true; wait $collector 2>/dev/null || true' EXIT
"$BIN/python" examples/collector_page.py --wait || { cat .demo/collector.log; exit 1; }

fab add_wheel "$DOWNLOADS"/*.whl
fab create_virtualenv
fab plan
fab deploy:localhost,yes=true
fab register
fab plan --check

printf '\nWhat runs there, as its page says:\n'
"$BIN/python" examples/collector_page.py
printf '\nThe collector ends now. To see the page again, and to try more:\n\n'
printf '    %s/fab collector --data .demo/collector     then open http://127.0.0.1:8088/\n' "$BIN"
printf '    %s/fab --list\n' "$BIN"
