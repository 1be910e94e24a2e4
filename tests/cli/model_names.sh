#!/bin/bash
# SPDX-License-Identifier: MIT
# What -t NAME means: a path, a published model in Tessera's cache, or one in the cache that Hugging
# Face's own tools keep; and what is said when it is nowhere.
. "$(dirname "$0")/../support/cli.bash"
export XDG_CACHE_HOME=$here/cache HOME=$here/home
weights=$SOURCE/models/mosaic-64.safetensors
mkdir -p home
picture p.ppm 64 64
encode() { run encode p.ppm -o out.tess --device cpu -q "$@"; rm -f out.tess; }
works() { encode -t "$1"; code_is 0; err_empty; }
# hub_file FOLDER REPOSITORY REVISION FILE: a file as huggingface_hub lays it out
hub_file() {
    local model=$1/models--${2/\//--} blob
    blob=$(sha256sum <"$weights" | cut -d' ' -f1)
    mkdir -p "$model/blobs" "$model/refs" "$model/snapshots/$3"
    cp "$weights" "$model/blobs/$blob"
    ln -sf "../../blobs/$blob" "$model/snapshots/$3/$4"
}
# only_here FOLDER REPOSITORY: both files that the catalog lists, and the reference main
only_here() {
    hub_file "$1" "$2" 0a1b2c model.safetensors
    echo '{}' >"$1/models--${2/\//--}/snapshots/0a1b2c/config.json"
    printf 0a1b2c >"$1/models--${2/\//--}/refs/main"
}
repository=yucornetto/tokenizer_titok_s128_imagenet

# Nowhere: which command brings it, how large it is and under which licence.
encode -t titok-s128
code_is 3
err_has "titok-s128: wanted its weights in $here/cache/tessera/titok-s128 or in Hugging Face's cache, got none: \`tessera fetch titok-s128\` brings them \(about 335.0 MB; licence: Apache License 2.0\)$"
encode -t $repository
code_is 3
err_has 'titok-s128: wanted its weights in .*`tessera fetch titok-s128` brings them'
encode -t titok-s12
code_is 3
err_has "titok-s12: wanted a file, a folder or the name of a published model, got none of them; did you mean 'titok-s128'\?$"
encode -t titok
code_is 3
err_has "did you mean 'titok-"
encode -t nothing-like-it
code_is 3
err_has 'nothing-like-it: wanted a file, a folder or the name of a published model, got none of them$'
encode -t some/repository
code_is 3
err_has "some/repository: wanted a file, a folder or a repository in Hugging Face's cache, got none of them$"
run encode p.ppm -o out.tess -t titok-s128 --json -q
code_is 3
json_ok
is "named in JSON too" TSR_ERROR_NOT_FOUND "$(json 'd["error"]["name"]')"
for verb in "decode x.tess -o y.png" "sheet p.ppm -o s.png" "bench --seconds 0.01"; do
    fails 3 '`tessera fetch titok-s128` brings them' $verb -t titok-s128
done
fails 3 '`tessera fetch titok-s128` brings them' model check titok-s128

# Tessera's cache; a part of a model is none.
mkdir -p cache/tessera/titok-s128
cp "$weights" cache/tessera/titok-s128/model.safetensors
encode -t titok-s128
code_is 3
err_has 'got none: `tessera fetch'
echo '{}' >cache/tessera/titok-s128/config.json
works titok-s128
works $repository
run model check titok-s128
code_is 0
out_has "^$here/cache/tessera/titok-s128/model.safetensors: family mosaic"
# A path comes first.
mkdir titok-s128
encode -t titok-s128
code_is 3
err_has 'titok-s128: wanted model.safetensors in the folder'
rmdir titok-s128
rm -r cache/tessera

# Hugging Face's cache, in each of the places it may have.
found_in() { # FOLDER VARIABLES...: with them the model is found there, and without it is not
    local folder=$1
    shift
    only_here "$folder" $repository
    for name in titok-s128 $repository; do
        last="env $* tessera model check $name"
        env "$@" "$TESSERA" model check $name >out 2>err
        code=$?
        code_is 0
        out_has "^$folder/models--yucornetto--tokenizer_titok_s128_imagenet/snapshots/0a1b2c/model.safetensors: family mosaic"
    done
    rm -r "$folder"
    last="env $* tessera model check titok-s128, not there"
    env "$@" "$TESSERA" model check titok-s128 >out 2>err
    code=$?
    code_is 3
}
found_in "$here/a" HF_HUB_CACHE="$here/a" HF_HOME="$here/wrong"
found_in "$here/b" HUGGINGFACE_HUB_CACHE="$here/b" HF_HOME="$here/wrong"
found_in "$here/c/hub" HF_HOME="$here/c"
found_in "$here/home/d/hub" HF_HOME="~/d"
found_in "$here/cache/huggingface/hub" HF_HOME=
found_in "$here/home/.cache/huggingface/hub" XDG_CACHE_HOME=
# A repository the catalog does not know; one downloaded by commit, without a reference; two of them.
hub=$here/cache/huggingface/hub
hub_file "$hub" me/mine ffff model.safetensors
works me/mine
hub_file "$hub" me/mine eeee model.safetensors
encode -t me/mine
code_is 3
printf 'eeee\n' >"$hub/models--me--mine/refs/main"
works me/mine
# What a reference says goes into a path: nothing else than a plain word is taken.
mkdir -p "$hub/models--me--mine/outside"
cp "$weights" "$hub/models--me--mine/outside/model.safetensors"
for text in ../outside /etc 'eeee/../ffff' '..' '' $'eeee\nffff' 'ee ee'; do
    printf '%s' "$text" >"$hub/models--me--mine/refs/main"
    encode -t me/mine
    code_is 3
done
for name in me/.. ../mine me//mine me/mine/ /mine me/mine/x 'me/mi ne'; do
    encode -t "$name"
    code_is 3
done
# A link to bytes that are gone.
only_here "$hub" $repository
rm "$hub/models--yucornetto--tokenizer_titok_s128_imagenet/blobs"/*
encode -t titok-s128
code_is 3
err_has 'got none: `tessera fetch'

# Published as a torch file: converted once, then found by name.
mkdir -p cache/tessera/llamagen-vq16
echo torch >cache/tessera/llamagen-vq16/vq_ds16_c2i.pt
encode -t llamagen-vq16
code_is 4
err_has "llamagen-vq16: wanted .safetensors, got the torch file $here/cache/tessera/llamagen-vq16/vq_ds16_c2i.pt: run \`tessera model convert $here/cache/tessera/llamagen-vq16/vq_ds16_c2i.pt $here/cache/tessera/llamagen-vq16/model.safetensors\` once$"
cp "$weights" cache/tessera/llamagen-vq16/model.safetensors
rm cache/tessera/llamagen-vq16/vq_ds16_c2i.pt
works llamagen-vq16

# Without a home there is no cache, and paths work as ever.
last="no HOME"
env -u HOME -u XDG_CACHE_HOME "$TESSERA" model check titok-s128 >out 2>err
code=$?
code_is 3
err_has 'wanted its weights in the cache or in Hugging Face'
env -u HOME -u XDG_CACHE_HOME "$TESSERA" model check "$weights" >out 2>err
code=$?
code_is 0
finish
