#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera report: measured into a folder, resumed, extended, refused; and tessera fit on its numbers.
. "$(dirname "$0")/../support/cli.bash"

mkdir -p photos/sub
picture photos/one.ppm 40 30
picture photos/sub/two.ppm 64 64 2
picture photos/three.ppm 20 50 3
run report photos -k 4,16 --anchor resize -o rep --device cpu --json
code_is 0
json_ok
for file in report.json report.csv pictures.csv index.html candidates/mosaic-64-4-tokens/tokens.tess candidates/mosaic-64-4-tokens/pictures/sub/two.ppm.png; do
    [ -s "rep/$file" ] || complain "rep/$file is not there"
done
in_report() {
    python3 -c "import json; d = json.load(open('rep/report.json')); print($1)"
}
is "schema and candidates" "tessera.report/1 4" "$(in_report '"%s %d" % (d["schema"], len(d["candidates"]))')"
is "files of every pair" True "$(in_report 'all(__import__("os").path.isfile("rep/" + f) for p in d["pictures"] for f in [p["file"]] + [v["file"] for v in p["values"]])')"
is "seconds of encoding" True "$(in_report 'd["candidates"][0]["cost"]["encode_seconds"] >= 0')"
is "lines of tables" "5 13" "$(wc -l <rep/report.csv) $(wc -l <rep/pictures.csv)"
# the command of a candidate makes its row again
mapfile -t command < <(in_report '"\n".join(d["candidates"][2]["command"][1:])')
first=$(in_report '[d["candidates"][2]["summary"], d["candidates"][2]["cost"]["bytes"]]')
run "${command[@]}" -o again -q
code_is 0
is "the row again" "$first" "$(python3 -c 'import json; d = json.load(open("again/report.json")); print([d["candidates"][0]["summary"], d["candidates"][0]["cost"]["bytes"]])')"
# every number of the report by the commands that it prints, and that a number which is another is seen
checks=$((checks + 1))
python3 -B "$SOURCE/scripts/report-repeat.py" "$TESSERA" rep >repeated 2>&1 || complain "report-repeat.py: $(grep -v '^ok' repeated)"
is "candidates repeated" "4" "$(grep -c '^ok  .*: [1-9][0-9]* numbers$' repeated)"
sed '0,/"mean": [0-9]/s//"mean": 9/' rep/report.json >changed.json
checks=$((checks + 1))
if python3 -B "$SOURCE/scripts/report-repeat.py" "$TESSERA" changed.json 'mosaic-64, 4 tokens' >repeated 2>&1; then
    complain "report-repeat.py: wanted it to see a changed mean"
fi
grep -q '^FAILED mosaic-64, 4 tokens: .*summary.psnr.mean: 9' repeated || complain "report-repeat.py: wanted the mean named, got $(cat repeated)"
# finished candidates are not made anew, whatever became of their tokens; an unfinished one is
touch -d 2001-01-01 rep/candidates/*/made-by rep/candidates/*/report.json
rm rep/candidates/mosaic-64-16-tokens/made-by
run report photos -k 4,16 --anchor resize -o rep --device cpu -q
code_is 0
is "only what was not finished" mosaic-64-16-tokens "$(find rep/candidates -name made-by -newermt 2002-01-01 | cut -d/ -f3)"
is "the same number" "$first" "$(in_report '[d["candidates"][2]["summary"], d["candidates"][2]["cost"]["bytes"]]')"
# more candidates, those that exist already too
run decode rep/candidates/mosaic-64-16-tokens/tokens.tess -o decoded/ --device cpu -q
run report photos decoded -k 4,8,16 -t mosaic-64 -o rep --device cpu -q
if [ "$code" = 0 ]; then
    complain "a candidate of another command was taken for a finished one"
fi
run report photos decoded -o rep --device cpu -q
code_is 0
is "files beside" "files" "$(in_report 'd["candidates"][0]["kind"]')"
# other pictures under the same names are another run
run report photos -k 4,8,16 -o laws --device cpu -q
code_is 0
picture photos/one.ppm 40 30 9
fails 3 'of other pictures, models or settings' report photos -k 4,8,16 -o laws --device cpu
run report photos -k 4,8,16 -o laws --device cpu -q -f
code_is 0
mkdir foreign
echo mine >foreign/notes.txt
fails 3 'foreign: wanted an empty folder' report photos -o foreign --device cpu
is "untouched" "notes.txt" "$(ls foreign)"
fails 2 '-o DIR is missing' report photos
fails 2 'ORIGINALS is missing' report -o x
fails 2 '-k: wanted numbers' report photos -k 4,x -o x
# without pictures
run report photos -k 4 -o bare --no-pictures --device cpu -q
code_is 0
[ ! -e bare/originals ] || complain "--no-pictures kept pictures"
# a picture that cannot be read
echo bad >photos/bad.ppm
run report photos -k 4 -o with-bad --device cpu
code_is 1
grep -q '^bad.ppm: ' err || complain "bad.ppm is not named: $(cat err)"
[ -s with-bad/index.html ] || complain "the others have no page"
rm photos/bad.ppm

# laws
run fit laws/report.json --json
code_is 0
json_ok
is "a law of each metric" "psnr ssim ssim_uniform l1" "$(json '" ".join(l["metric"] for l in d["laws"])')"
is "points" "3 mosaic-64" "$(json '"%d %s" % (d["laws"][0]["points"], d["laws"][0]["series"])')"
run fit laws/report.json --reach l1=1 --json
is "the fewest will do" True "$(json 'd["fewest"][0]["reached"] == 3 and all(p["tokens"] == min(p["tokens"] for p in d["fewest"][0]["pictures"]) or p["tokens"] for p in d["fewest"][0]["pictures"])')"
run fit laws/report.json --reach psnr=1000 --json
is "out of reach" "0 None" "$(json '"%d %s" % (d["fewest"][0]["reached"], d["fewest"][0]["pictures"][0]["tokens"])')"
run fit laws/report.json --within 0 --metrics l1
out_has '^fewest tokens, l1 within 0, mosaic-64: 3 of 3 pictures reach it'
fails 2 '--reach: wanted METRIC=VALUE' fit laws/report.json --reach psnr
fails 2 'exclude each other' fit laws/report.json --reach psnr=3 --within 1
fails 3 'no-such.json' fit no-such.json
echo '{"schema": "other/1"}' >other.json
fails 4 'schema: wanted tessera.report/1' fit other.json
echo 'no json' >other.json
fails 4 'wanted JSON' fit other.json
finish
