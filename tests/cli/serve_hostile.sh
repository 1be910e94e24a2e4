#!/bin/bash
# SPDX-License-Identifier: MIT
# `tessera serve` among clients that send too much, too slowly, too many and nonsense: no crash, memory stays, and good
# requests are answered. SERVE_SECONDS (default 8) of mixed load; scripts/check-long.sh takes 60.
. "$(dirname "$0")/../support/cli.bash"
grep -q '^features .*+serve' <("$TESSERA" --version) || skip "this build was made without libmicrohttpd"
for part in limits "load ${SERVE_SECONDS:-8}"; do
    checks=$((checks + 1))
    python3 -B "$SOURCE/tests/support/serve_cases.py" $part || complain "serve_cases.py $part"
done
finish
