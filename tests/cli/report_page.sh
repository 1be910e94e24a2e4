#!/bin/bash
# SPDX-License-Identifier: MIT
# `tessera show`: report.json as a page that is complete in itself, whatever its names are, and what is said of
# reports that are none.
. "$(dirname "$0")/../support/cli.bash"

python3 "$SOURCE/tests/support/make_report.py" report 48 32 6 || exit 1
run show report
code_is 0
out_empty
no_leftovers report
page=report/index.html
has() { # has TEXT COUNT: lines do not matter
    checks=$((checks + 1))
    local got
    got=$(grep -oF -- "$1" $page | wc -l)
    [ "$got" -ge "$2" ] || complain "$page: '$1': wanted at least $2, got $got"
}
hasnt() {
    checks=$((checks + 1))
    if grep -qE -- "$1" $page; then complain "$page: wanted no '$1', got $(grep -oE -- ".{30}$1.{30}" $page | head -1)"; fi
}
is "pictures: originals, candidates and error maps" $((6 + 2 * (6 * 9 - 1))) "$(grep -o '<img class="[a-z]*" width' $page | wc -l)"
has 'Рассвет над рекой.ppm' 2
has '日本の橋.ppm' 2
has $'emoji 🎨 cafe\u0301.ppm' 2
has '画家-б' 5
has '&lt;script&gt;alert(1)&lt;.ppm' 2
has 'it&#39;s &quot;quoted&quot; &amp; more.ppm' 2
has 'the painter fell ill &amp; left' 1
has "tessera encode &#39;it&#39;\\&#39;&#39;s a folder/&#39; -k 16" 1 # as a shell reads it
has 'PSNR ∞ dB' 6
has 'fedcba9876543210' 1
has '00ff00ff00ff00ff' 1
has '<svg class="plot" ' 12
has 'scope="row"' 14
hasnt '<script>alert'
hasnt '(src|href)="[^d#]' # nothing but data: and places in the page
hasnt '@import|url\('
is "addresses" "http://www.w3.org/2000/svg" "$(grep -oE 'https?://[^" <]*' $page | sort -u)"
# A point for each candidate that has a number and a place on the axes: 3 metrics, 2 of text, 1 of faces, over bits
# (9; PSNR of the exact copy is none) and tokens (5).
is "points with numbers" $((6 * 9 - 1 + 6 * 5)) "$(grep -oE '<(circle|polygon) class="mark[^>]*><title>[^<]*(bits per pixel|tokens)</title>' $page | wc -l)"

# what exists stays; elsewhere, and smaller
fails 3 '^tessera show: .*report/index.html' show report
run show report/report.json -o other --pictures 0 --json
code_is 0
json_ok
is "--json: output" other/index.html "$(json 'd["output"]')"
is "--json: bytes" "$(stat -c %s other/index.html)" "$(json 'd["bytes"]')"
is "without pictures" 0 "$(grep -c '<img' other/index.html)"
run show report -o two --pictures 2
code_is 0
is "two pictures" 2 "$(grep -o '<article' two/index.html | wc -l)"
grep -q 'The 2 worst of 6' two/index.html || complain "two/index.html: wanted 'The 2 worst of 6'"

# one plot
for number in psnr t_acc t_ned f_sim; do
    run show report --plot $number -o $number.svg
    code_is 0
    python3 -c "import sys, xml.dom.minidom as m; m.parse('$number.svg')" || complain "$number.svg is no XML"
done
is "points of the plot" 8 "$(grep -oE '<(circle|polygon) class="mark[^>]*><title>[^<]*bits per pixel</title>' psnr.svg | wc -l)"
run show report --plot t_acc --over size -o size.svg --json
code_is 0
json_ok
is "--json: output of a plot" size.svg "$(json 'd["output"]')"
grep -q 'pixels per character' size.svg || complain "size.svg: wanted pixels per character"
run show report --plot psnr --over tokens -o tokens.svg
code_is 0
fails 3 'size.svg' show report --plot t_acc --over size -o size.svg
fails 2 '--plot beauty: wanted a metric of the report, t_acc, t_ned or f_sim' show report --plot beauty -o beauty.svg
fails 2 '--plot psnr: wanted t_acc, t_ned or f_sim with --over size' show report --plot psnr --over size -o beauty.svg
fails 2 'wanted -o FILE.svg' show report --plot psnr
fails 2 'wanted --plot with it' show report --over size -o beauty.svg
absent beauty.svg

# a picture that is gone, a pipe, a folder: said on the page
rm "report/candidates/0/plain.ppm" && mkfifo "report/candidates/0/plain.ppm"
rm "report/candidates/2/plain.ppm"
run show report -f
code_is 0
has 'no picture: candidates/2/plain.ppm: No such file or directory' 1
has 'no picture: candidates/0/plain.ppm is no file' 1

# reports that are none
fails 3 'nowhere/report.json: No such file or directory' show nowhere/report.json -o x
fails 2 'wanted a file, report.json' show /dev/null -o x
echo '{"schema": "tessera.report/1", "metrics": [' >cut.json
fails 4 'cut.json: no JSON from byte .* it ends in the middle' show cut.json -o x
echo '{"schema": "tessera.report/2"}' >other.json
fails 4 'other.json: schema: wanted "tessera.report/1", got "tessera.report/2"' show other.json -o x
: >empty.json
fails 4 'empty.json: no JSON from byte 0 of 0' show empty.json -o x
python3 - <<'PY'
import json
d = json.load(open("report/report.json"))
d["candidates"][2]["cost"]["bytes"] = "many"
json.dump(d, open("wrong.json", "w"))
d["candidates"][2]["cost"]["bytes"] = None
d["pictures"][1]["values"][0]["candidate"] = 9
json.dump(d, open("beyond.json", "w"))
PY
fails 4 'wrong.json: candidates\[2\].cost.bytes: wanted a finite number, got a text' show wrong.json -o x
fails 4 'beyond.json: pictures\[1\].values\[0\].candidate: wanted one of 9 candidates, got 9' show beyond.json -o x
absent x/index.html
fails 2 'REPORT' show
finish
