#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera fetch and Hugging Face's habits: HF_ENDPOINT, HF_TOKEN (seen by that server alone),
# HF_HUB_OFFLINE, and models that its own tools have downloaded. Servers are local (fetch_server.py).
. "$(dirname "$0")/../support/cli.bash"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
export no_proxy='*' XDG_CACHE_HOME=$here/cache HOME=$here/home

grep -q libcurl <(ldd "$TESSERA") || skip "this build has no libcurl"

head -c 300001 /dev/urandom >body
sha=$(sha256sum <body | cut -d' ' -f1)
serve() { # LOG PORTFILE [OTHER]
    python3 "$SOURCE/tests/support/fetch_server.py" body "$@" 2>>server.err &
    servers="${servers:-} $!"
    for _ in $(seq 100); do [ -s "$2" ] && break; sleep 0.1; done
    [ -s "$2" ] || { echo "the server did not start: $(cat server.err)"; exit 1; }
}
trap 'kill $servers 2>/dev/null; rm -rf "$here"' EXIT
serve far far_port
far=http://127.0.0.1:$(cat far_port)
serve near near_port "$far"
near=http://127.0.0.1:$(cat near_port)

# catalog ADDRESS: a table with one model m of one file
catalog() {
    printf '%s\n' '[licence l]' 'title = T' 'notice = N' '[model m]' 'family = mosaic' 'about = a' 'licence = l' \
        'page = http://example.invalid/m' "file = w.safetensors $1" >table
    rm -rf out_dir
    : >near
    : >far
}
fetch() { run fetch m --catalog table --to out_dir -q --retries 0 "$@"; }
same() { checks=$((checks + 1)); cmp -s out_dir/w.safetensors body || complain "$last: the file is not what was served"; }
logins() { grep -c Bearer "$1"; }

# The endpoint stands in place of the hub; a slash at its end is one too many. Nothing else moves.
export HF_ENDPOINT=$near/
catalog https://huggingface.co/good/w
fetch
code_is 0
same
is "the path that was asked for" "GET /good/w None None -> 200" "$(cat near)"
grep -q "^  url     $near/good/w\$" out_dir/NOTICE-m.txt || complain "the record does not say where it came from"
run fetch m --catalog table --to other --dry-run
code_is 0
out_has "^get      $near/good/w "
catalog "$far/good/w"
fetch
code_is 0
is "requests to the endpoint for another host's file" "" "$(cat near)"
catalog https://huggingface.co.example.invalid/good/w
fetch
code_is 3
is "requests for a host whose name begins alike" "" "$(cat near)"

# A login: for the endpoint's files, and for no other host or port.
export HF_TOKEN=hf_secret
catalog https://huggingface.co/members/w
fetch
code_is 0
same
catalog https://huggingface.co/hub/w # redirects within the server
fetch
code_is 0
is "logins within the server" 2 "$(logins near)"
for manner in otherport otherhost; do
    catalog https://huggingface.co/$manner/w
    fetch
    code_is 0
    same
    is "$manner: logins where it was asked" 1 "$(grep "/$manner/" near | grep -c 'Bearer hf_secret')"
    is "$manner: logins where it was sent to" 0 "$(cat near far | grep '/good/' | grep -c Bearer)"
    is "$manner: requests where it was sent to" 1 "$(cat near far | grep -c '/good/')"
done
catalog "$far/good/w"
fetch
code_is 0
is "logins at a host of its own" 0 "$(logins far)"
catalog "$near/good/w" # the endpoint's own address, but not a file of the hub's
fetch
code_is 0
is "logins for what is not the hub's" 0 "$(logins near)"
# A token with a line's end is taken as it was meant; one with more lines is none, and is not repeated.
export HF_TOKEN=$' hf_secret\n'
catalog https://huggingface.co/members/w
fetch
code_is 0
HF_TOKEN=$'hf_secret\r\nX-Evil: 1'
fetch
code_is 2
err_has '^tessera fetch: HF_TOKEN: wanted below 512 printable characters, got something else'
grep -q -e secret -e Evil err && complain "the token is repeated"
unset HF_TOKEN
catalog https://huggingface.co/members/w
fetch
code_is 3
err_has 'answered 401 \(the page may ask to log in or to accept terms first; HF_TOKEN carries a login\)'
for text in ftp://h h:80 "http://a b" '/x'; do
    HF_ENDPOINT=$text fetch
    code_is 2
    err_has '^tessera fetch: HF_ENDPOINT: wanted an address of https:// or http://, got '
done

# Offline: nothing is asked for, and what is there is used.
for value in 1 ON yes True; do
    export HF_HUB_OFFLINE=$value
    catalog https://huggingface.co/good/w
    fetch
    code_is 3
    err_has "HF_HUB_OFFLINE is set, so nothing is downloaded; get $near/good/w on another way, put it at out_dir/w.safetensors"
    is "requests offline" "" "$(cat near)"
done
mkdir -p out_dir
cp body out_dir/w.safetensors
fetch
code_is 0
export HF_HUB_OFFLINE=0
catalog https://huggingface.co/good/w
fetch
code_is 0
same

# Downloaded by Hugging Face's own tools: found, not fetched, not recorded.
model=$here/cache/huggingface/hub/models--a--b
mkdir -p "$model/blobs" "$model/refs" "$model/snapshots/c0ffee"
cp body "$model/blobs/$sha"
ln -s "../../blobs/$sha" "$model/snapshots/c0ffee/w.safetensors"
printf c0ffee >"$model/refs/main"
catalog https://huggingface.co/a/b/resolve/main/w.safetensors
run fetch m --catalog table -q
code_is 0
err_empty
out_is "$model/snapshots/c0ffee/w.safetensors"
is "requests for what is there" "" "$(cat near)"
absent cache/tessera
run fetch m --catalog table -q --json --check
code_is 0
json_ok
is "its hash" "$sha True record" "$(json '"%s %s %s" % tuple(d["files"][0][k] for k in ("sha256", "there_already", "checked"))')"
chmod u+w "$model/blobs/$sha"
printf damaged! | dd of="$model/blobs/$sha" bs=1 seek=5 conv=notrunc status=none
fails 4 'w.safetensors: sha256: wanted .* \(record\), got ' fetch m --catalog table -q --check
rm "$model/blobs/$sha"
catalog https://huggingface.co/a/b/resolve/main/w.safetensors
run fetch m --catalog table -q --retries 0
code_is 3
err_has "/a/b/resolve/main/w.safetensors: the server answered 404"

# A torch file is used once it is converted: the command is said.
catalog https://huggingface.co/good/w
sed -i 's/w.safetensors/w.pth/' table
run fetch m --catalog table --retries 0
code_is 0
grep -qF "next: tessera model convert $here/cache/tessera/m/w.pth $here/cache/tessera/m/model.safetensors, which -t takes by this name then" err ||
    complain "what is next is not said: $(cat err)"
is "server errors" "" "$(grep -v '^$' server.err | head -3)"
finish
