#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera codebook: train, assign and stats on pictures and arrays; the same bytes each time.
. "$(dirname "$0")/../support/cli.bash"

picture a.ppm 64 48 1
picture b.ppm 40 40 2
run codebook train a.ppm b.ppm -p 4 -k 16 -o one.safetensors
code_is 0
out_has '^rows        292 of 48 values$'
out_has '^codes       16, 1 stage, euclid$'
run codebook train a.ppm b.ppm -p 4 -k 16 -o two.safetensors --threads 1 --json
code_is 0
json_ok
is "keys" "codes dim iterations metric mse perplexity revived rows stages tessera total_seconds used verb" "$(json '" ".join(sorted(d))')"
cmp -s one.safetensors two.safetensors || complain "threads changed the codebook"
run codebook train a.ppm b.ppm -p 4 -k 16 -o three.safetensors --seed 2 -q
code_is 0
cmp -s one.safetensors three.safetensors && complain "the seed changed nothing"
run codebook stats a.ppm b.ppm -p 4 -c one.safetensors --json
code_is 0
is "rows" 292 "$(json 'd["rows"]')"
run codebook assign a.ppm -p 4 -c one.safetensors -o ids.npy
code_is 0
is "npy begins as NumPy's do" "934e554d50590100" "$(head -c 8 ids.npy | od -An -tx1 | tr -d ' \n')"
is "its size" $((128 + 4 * 192)) "$(stat -c %s ids.npy)"
"$TESSERA" codebook assign a.ppm -p 4 -c one.safetensors -o - 2>err | cmp -s - ids.npy || complain "-o - is not the file"

# ids are features too: one value a row
run codebook train ids.npy -k 3 --stages 2 -o r.safetensors --json
code_is 0
is "stages" 2 "$(json 'd["stages"]')"
run codebook train ids.npy ids.npy -k 3 -f -o r.safetensors --json
is "files are joined" 384 "$(json 'd["rows"]')"

fails 2 "wanted train, assign or stats, got nothing" codebook
fails 2 "got 'trian'; did you mean 'train'" codebook trian
fails 2 "^tessera codebook train: -o CODES is missing" codebook train a.ppm
fails 2 "^tessera codebook assign: -c CODES is missing" codebook assign a.ppm -o x.npy
fails 2 "^tessera codebook stats: IN is missing" codebook stats
fails 2 '--cosine and --stages: .*; wanted one of them ' codebook train a.ppm -o x --cosine --stages 2
fails 2 "would both write to stdout" codebook assign a.ppm -c one.safetensors -o - --json
fails 2 "got both kinds" codebook train a.ppm ids.npy -o x
fails 2 "did you mean '--stages'" codebook train a.ppm -o x --stage 2
fails 4 "wanted 75 values a row, got 48" codebook stats a.ppm -p 5 -c one.safetensors
fails 3 "nothere.safetensors" codebook stats a.ppm -c nothere.safetensors
fails 4 "a.ppm" codebook stats a.ppm -c a.ppm
run codebook train a.ppm -k 100000 -o x.safetensors
code_is 2
absent x.safetensors
fails 3 "/dev/full" codebook assign a.ppm -p 4 -c one.safetensors -o /dev/full
fails 3 "nofolder/x.npy" codebook assign a.ppm -p 4 -c one.safetensors -o nofolder/x.npy
no_leftovers
for part in train assign stats; do
    run codebook $part --help
    code_is 0
    out_has "^tessera codebook $part: "
done
finish
