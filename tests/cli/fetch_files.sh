#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera fetch, against a local server that cuts connections, ignores ranges, serves other bytes,
# other sizes and error pages (tests/support/fetch_server.py). Nothing leaves the machine.
. "$(dirname "$0")/../support/cli.bash"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
export no_proxy='*' XDG_CACHE_HOME=$here/cache

grep -q libcurl <(ldd "$TESSERA") || skip "this build has no libcurl"

python3 -c 'import sys; sys.stdout.buffer.write(bytes((i * i // 7 + i) & 255 for i in range(300001)))' >body
sha=$(sha256sum <body | cut -d' ' -f1)
size=300001
python3 "$SOURCE/tests/support/fetch_server.py" body requests port 2>server.err &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$here"' EXIT
for _ in $(seq 100); do [ -s port ] && break; sleep 0.1; done
[ -s port ] || { echo "the server did not start: $(cat server.err)"; exit 1; }
url=http://127.0.0.1:$(cat port)

# catalog MANNER [FIELDS...]: a table with one model m of one file w.pth, at an address of its own
asked=0
catalog() {
    asked=$((asked + 1))
    at=$url/$1/w$asked
    shift
    printf '%s\n' '[licence l]' 'title = Test licence' 'notice = Only for tests.' '[model m]' 'family = mosaic' \
        'about = a test' 'licence = l' 'page = http://example.invalid/m' "file = w.pth $at $*" >table
}
fetch() { run fetch m --catalog table --to out_dir "$@"; }
fresh() { rm -rf out_dir; : >requests; }
same() { checks=$((checks + 1)); cmp -s out_dir/w.pth body || complain "$last: the file is not what was served"; }
nothing_there() { absent out_dir/w.pth; absent out_dir/NOTICE-m.txt; }
no_part() { is "$last: parts left" "" "$(ls -A out_dir 2>/dev/null | grep part)"; }
requests_are() { is "$last: requests" "$1" "$(wc -l <requests)"; }

# As it should be: the path on stdout, the licence on stderr and in the record.
fresh
catalog good size $size sha256 "$sha"
fetch
code_is 0
out_is "out_dir/w.pth"
grep -q '^licence: Test licence. Only for tests.$' <(sed 's/^tessera fetch: //' err) || complain "no licence on stderr: $(cat err)"
same
no_part
grep -q '^licence   Test licence$' out_dir/NOTICE-m.txt || complain "no licence in the record"
grep -q "^  sha256  $sha\$" out_dir/NOTICE-m.txt || complain "no hash in the record"
grep -q '^  checked catalog$' out_dir/NOTICE-m.txt || complain "the record does not say what was checked"
requests_are 1
# Again: nothing is asked for. Damaged: --check sees it, and so does another size.
fetch -q
code_is 0
err_empty
out_is "out_dir/w.pth"
requests_are 1
printf x | dd of=out_dir/w.pth bs=1 seek=5 conv=notrunc status=none
fetch -q
code_is 0
fails 4 'out_dir/w.pth: sha256: wanted .* \(catalog\), got .*; remove it to fetch it again$' fetch m --catalog table --to out_dir -q --check
catalog good
fails 4 'out_dir/w.pth: sha256: wanted .* \(record\), got ' fetch m --catalog table --to out_dir -q --check
catalog good size 7
fails 4 'out_dir/w.pth: size: wanted 7 bytes, got 300001; remove it' fetch m --catalog table --to out_dir -q
# Brought by hand: checked and recorded.
fresh
mkdir -p out_dir
cp body out_dir/w.pth
catalog 404 sha256 "$sha"
fetch -q --json
code_is 0
json_ok
is "there already" "True catalog" "$(json '"%s %s" % (d["files"][0]["there_already"], d["files"][0]["checked"])')"
[ -s out_dir/NOTICE-m.txt ] || complain "no record of a file brought by hand"
requests_are 0
printf x >>out_dir/w.pth
rm out_dir/NOTICE-m.txt
fails 4 'sha256: wanted' fetch m --catalog table --to out_dir -q

# Cut connections: taken up again in the same run, from where they broke.
for manner in cut stall badrange; do
    fresh
    catalog $manner sha256 "$sha"
    fetch --timeout 1
    code_is 0
    same
    no_part
done
fresh
catalog cut
fetch --json
code_is 0
json_ok
same
grep -q 'bytes=100000- ".*" -> 206' requests || complain "cut: no range was asked for: $(cat requests)"
is "no hash known" none "$(json 'd["files"][0]["checked"]')"
# ... and in the next run.
fresh
catalog cutonce size $size
fetch -q --retries 0
code_is 3
err_has 'w[0-9]+: Transferred a partial file; get http.* put it at out_dir/w.pth and run this again'
nothing_there
is "part kept" 100000 "$(stat -c %s out_dir/.w.pth.part)"
fetch --json
code_is 0
json_ok
same
no_part
is "resumed" 100000 "$(json 'd["files"][0]["resumed_from"]')"
# Without a validator and without a known hash a part is not trusted.
fresh
catalog bare
fetch
code_is 0
same
is "ranges asked for" 0 "$(grep -c 'bytes=' requests)"
fresh
catalog bare sha256 "$sha"
fetch
code_is 0
same
is "ranges asked for" 1 "$(grep -c 'bytes=' requests)"
# A server that ignores ranges, one whose file changed meanwhile, one that never gets further.
fresh
catalog norange sha256 "$sha"
fetch
code_is 0
same
fresh
catalog changed
fetch
code_is 0
is "the new version, whole" "$(python3 -c 'import sys; sys.stdout.buffer.write(open("body","rb").read()[::-1])' | sha256sum)" "$(sha256sum <out_dir/w.pth)"
fresh
catalog always
fetch -q --retries 2
code_is 3
nothing_there
# A part that is longer than the file, and one that is complete already.
fresh
catalog good size $size sha256 "$sha"
mkdir -p out_dir
{ cat body; echo more; } >out_dir/.w.pth.part
fetch -q
code_is 0
same
fresh
mkdir -p out_dir
cp body out_dir/.w.pth.part
fetch -q
code_is 0
same
requests_are 0
fresh
catalog cutonce # one request fills the part, the next run finds nothing missing
fetch -q --retries 1
cp body out_dir/.w.pth.part
printf '%s\n"%s"\n' "$at" "$(sha1sum <body | cut -d' ' -f1)" >out_dir/.w.pth.part.txt
rm out_dir/w.pth
fetch -q
code_is 0
same
grep -q -- '-> 416' requests || complain "a complete part: wanted a 416, got $(cat requests)"

# Wrong bytes and wrong sizes never get the name.
fresh
catalog wrong size $size sha256 "$sha"
fetch -q
code_is 4
err_has "out_dir/w.pth: sha256: wanted $sha \(catalog\), got [0-9a-f]{64}; what came was thrown away$"
nothing_there
no_part
catalog short size $size
fetch -q
code_is 4
err_has 'size: wanted 300001 bytes, the server has 299994: not the file meant; get '
nothing_there
catalog page
fetch -q
code_is 4
err_has 'the server sent a web page instead of the file'
nothing_there
catalog endless
fetch -q
code_is 4
err_has 'states no length, so a cut could not be told from the end'
nothing_there
catalog endless sha256 "$sha"
fetch -q
code_is 0
same
fresh
catalog chunked
fetch -q
code_is 0
same
# A hub that states hash and size in a redirect.
fresh
catalog hub
fetch -q --json
code_is 0
json_ok
same
is "checked against" server "$(json 'd["files"][0]["checked"]')"
fresh
catalog lyinghub
fetch -q
code_is 4
err_has 'sha256: wanted 0{64} \(server\), got'
nothing_there

# Errors of servers and of the network say what to do instead.
fresh
catalog 404
fetch -q
code_is 3
err_has "^tessera fetch: .*: $at: the server answered 404; get $at on another way, put it at out_dir/w.pth and run this again: it is then checked and recorded \(the authors' page: http://example.invalid/m\)$"
nothing_there
requests_are 1
catalog forbidden
fetch -q
code_is 3
err_has 'answered 403 \(the page may ask to log in or to accept terms first\)'
fresh
catalog busy
fetch -q
code_is 0
same
fresh
catalog circle
fetch -q
code_is 3
err_has 'redirect'
catalog escape
fetch -q
code_is 3
err_has 'rotocol "?file"?|Unsupported protocol'
nothing_there
sed "s,$url,http://127.0.0.1:1," table >closed && mv closed table
fetch -q --json
code_is 3
json_ok
err_has "Couldn't connect to server; get http.*put it at out_dir/w.pth"
is "offline as JSON" TSR_ERROR_IO "$(json 'd["error"]["name"]')"
no_part

# On a terminal: a bar in bytes with rate and time left.
if command -v script >/dev/null; then
    fresh
    catalog slow
    script -qc "$TESSERA fetch m --catalog table --to out_dir" shown >/dev/null </dev/null
    last="fetch on a terminal"
    checks=$((checks + 1))
    grep -qaE 'w.pth \[[#.]{24}\] [0-9.]+ (bytes|kB)/300.0 kB  [0-9.]+ (bytes|kB|MB)/s  ETA [0-9]+:[0-9]{2}' shown ||
        complain "$last: no bar: $(tr '\r' '\n' <shown | head -c 400)"
    same
else
    leave_out "no script(1) to look at a terminal with"
fi

# Ctrl-C keeps what came; two at a time are told apart.
fresh
catalog slow
"$TESSERA" fetch m --catalog table --to out_dir -q >out 2>err &
pid=$!
for _ in $(seq 100); do [ -s out_dir/.w.pth.part ] && break; sleep 0.05; done
fails 2 'another tessera fetch is writing it' fetch m --catalog table --to out_dir -q
kill -INT $pid
wait $pid
code=$? last="interrupted fetch"
code_is 130
nothing_there
[ -s out_dir/.w.pth.part ] || complain "interrupted: nothing was kept"

# Places that cannot be written, tables that are not ones.
catalog good
: >plain
fails 3 'plain/x: make the folder: Not a directory' fetch m --catalog table --to plain/x -q
if [ "$(id -u)" != 0 ]; then
    mkdir shut && chmod 500 shut
    fails 3 'Permission denied' fetch m --catalog table --to shut -q
fi
bad_table() { # PATTERN LINE...
    local pattern=$1
    shift
    printf '%s\n' "$@" >bad
    fails 4 "^tessera fetch: malformed data: bad: $pattern" fetch m --catalog bad --dry-run
}
model=('[licence l]' 'title = T' 'notice = N' '[model m]' 'family = f' 'about = a' 'licence = l' 'page = p')
bad_table 'line 1: wanted \[licence ID\] or \[model NAME\], got \[thing x\]' '[thing x]'
bad_table "line 1: wanted a name of a-z, 0-9, '.', '_' and '-', got \.\./x" '[model ../x]'
bad_table 'line 9: wanted a file name without folder, got \.\./w' "${model[@]}" 'file = ../w http://h/w'
bad_table 'line 9: wanted a file name without folder, got \.w' "${model[@]}" 'file = .w http://h/w'
bad_table 'line 9: wanted a URL of https:// or http://, got file:///w' "${model[@]}" 'file = w file:///w'
bad_table 'line 9: wanted size N, about N \(bytes\) or sha256 and 64 digits, got sha256' "${model[@]}" 'file = w http://h/w sha256 12'
bad_table 'line 9: wanted size N, .* got size' "${model[@]}" 'file = w http://h/w size 0'
bad_table 'line 10: wanted each file of a model once, got w' "${model[@]}" 'file = w http://h/w' 'file = w http://h/x'
bad_table 'line 9: wanted each key once, got page' "${model[@]}" 'page = q'
bad_table 'line 9: wanted family, .*, got colour' "${model[@]}" 'colour = q'
bad_table 'line 4: wanted a model with family, about, licence, page and file, got m' "${model[@]}"
bad_table 'line 1: wanted a licence that has a section, got l' "${model[@]:3}" 'file = w http://h/w'
bad_table 'line 9: wanted each model once, got m' "${model[@]}" '[model m]'
bad_table 'wanted UTF-8 text' $'\xff'
fails 3 'none' fetch m --catalog none
is "server errors" "" "$(grep -v '^$' server.err | head -3)"
finish
