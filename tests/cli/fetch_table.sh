#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera fetch without a network: the table that is built in, and what is said before any download.
. "$(dirname "$0")/../support/cli.bash"
export XDG_CACHE_HOME=$here/cache

run fetch --list
code_is 0
out_has '^flextok-d12-d12 +about 1366.7 MB +FlexTok'
run fetch --list --json
json_ok
is "every model has a licence, a page and an https address" True \
    "$(json 'all(m["licence"] and m["notice"] and m["page"] and all(f["url"].startswith("https://") for f in m["files"]) for m in d["models"]) and len(d["models"]) > 20')"
"$TESSERA" fetch --list --json | python3 -c 'import json, sys; print(*sorted({m["family"] for m in json.load(sys.stdin)["models"]}), sep="\n")' >named
"$TESSERA" model list --json | python3 -c 'import json, sys; print(*[f["name"] for f in json.load(sys.stdin)["families"]], sep="\n")' | sort >known
[ -s named ] && [ -s known ] || complain "no families: $(wc -l named known)"
is "families of the table that there are not" "" "$(comm -23 named known)"
run fetch titok-s128 --dry-run
code_is 0
err_empty
out_has '^licence  Apache License 2.0$'
out_has "^put at   $here/cache/tessera/titok-s128/model.safetensors\$"
absent cache
fails 2 "no model is called 'titok-s12'; did you mean 'titok-s128'\?" fetch titok-s12
fails 2 "NAME is missing" fetch

if ! grep -q libcurl <(ldd "$TESSERA"); then
    fails 4 'this build of tessera has no libcurl; get https' fetch titok-s128 -q
fi
finish
