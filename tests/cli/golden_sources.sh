#!/bin/bash
# SPDX-License-Identifier: MIT
# The golden cases of the tree are those that scripts/take-golden.py chooses from the whole set, byte
# for byte; and a case that lost or changed a file is told.
. "$(dirname "$0")/../support/cli.bash"

[ -d "${SHARED:-}/golden" ] || skip "../shared/golden is not there"
is "what differs" "" "$(python3 "$SOURCE/scripts/take-golden.py" "$SHARED/golden" --check | sed '$d')"
mkdir -p tree/scripts tree/tests
cp "$SOURCE/scripts/take-golden.py" tree/scripts/
cp -r "$SOURCE/tests/golden" tree/tests/
rm tree/tests/golden/vqtoken/ties/in.x.npy
echo >>tree/tests/golden/flextok/fsq/manifest.json
python3 tree/scripts/take-golden.py "$SHARED/golden" --check >out
is "exit code" 1 $?
out_has '^tests/golden/flextok/fsq/manifest.json: differs$'
out_has '^tests/golden/vqtoken/ties/in.x.npy: is not in the tree$'
out_has ', 2 differ$'
finish
