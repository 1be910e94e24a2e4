#!/bin/bash
# SPDX-License-Identifier: MIT
# A report page in a real browser: what scripts/report-shots.py looks for, and that it finds what is wrong.
. "$(dirname "$0")/../support/cli.bash"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    [ -n "${CHROMIUM:-}" ] || skip "no Chromium here (Debian: chromium)"

look() { # look CODE PAGE: leaves `seen`
    checks=$((checks + 1))
    timeout 300 python3 -B "$SOURCE/scripts/report-shots.py" "$2" >seen 2>&1
    local got=$?
    [ "$got" = "$1" ] || complain "report-shots.py $2: exit code: wanted $1, got $got; $(grep -v '^ok' seen | head -5)"
}
python3 "$SOURCE/tests/support/make_report.py" report 48 32 4 || exit 1
run show report
code_is 0
look 0 report/index.html
is "what was looked at" 22 "$(grep -c '^ok' seen)"

# A page with every fault it looks for: one that asks for a file of another place, says something, is too wide, and has
# a picture that is none.
python3 - <<'PY'
page = open("report/index.html").read()
page = page.replace("img-src data:", "img-src data: file:")
page = page.replace("</main>", '<div style="width:3000px">wide</div><img src="other.png" alt=""></main>')
open("report/bad.html", "w").write(page.replace('"use strict";', 'console.error("something");'))
PY
look 1 report/bad.html
for what in 'nothing stands beyond the window' 'every picture is shown' 'nothing but the page is asked for' 'nothing is said on the console'; do
    checks=$((checks + 1))
    grep -q "^FAILED.*$what" seen || complain "report-shots.py: wanted it to see the fault: $what"
done
finish
