#!/bin/bash
# SPDX-License-Identifier: MIT
# A folder that one may not write to is named, and nothing else is said. Root may write everywhere: as
# root the program is run as nobody.
. "$(dirname "$0")/../support/cli.bash"

as_nobody=()
if [ "$(id -u)" = 0 ]; then
    as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "${as_nobody[@]}" true 2>/dev/null && chmod a+rx "$here" || skip "a locked folder: root may write everywhere"
    "${as_nobody[@]}" "$TESSERA" --version >/dev/null 2>&1 || skip "a locked folder: nobody may not run the program"
fi
picture p.ppm 600 600 1
mkdir locked
chmod a-w locked
"${as_nobody[@]}" "$TESSERA" encode p.ppm -o locked/x.tess --device cpu >out 2>err </dev/null
code=$? last="encode into a locked folder"
code_is 3
err_has 'locked/x.tess.*Permission denied'
out_empty
finish
