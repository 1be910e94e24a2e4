#!/bin/bash
# SPDX-License-Identifier: MIT
# What runner/llama_api.h declares of libllama's structs beside the header of that release: sizes,
# offsets, the numbers of constants. Skipped where the headers are not (scripts/llama.sh brings them).
. "$(dirname "$0")/../support/cli.bash"
include=$SOURCE/build/llama/include
[ -e "$include/llama.h" ] || skip "no headers of libllama in build/llama (scripts/llama.sh brings them)"

cat >look.c <<'C'
#include <stddef.h>
#include <stdio.h>
#define S(type) printf("%s %zu\n", #type, sizeof(struct type));
#define F(type, field) printf("%s.%s %zu %zu\n", #type, #field, offsetof(struct type, field), sizeof(((struct type *)0)->field));
int main(void) {
    S(llama_batch) F(llama_batch, n_tokens) F(llama_batch, token) F(llama_batch, embd) F(llama_batch, pos)
    F(llama_batch, n_seq_id) F(llama_batch, seq_id) F(llama_batch, logits)
C
fields() { # STRUCT: the fields that the tree declares, in order
    sed -n "/^struct $1 {/,/^};/p" "$SOURCE/runner/llama_api.h" | sed 's/([^()]*)(.*;$/;/' |
        sed -nE 's/.*bool \(\*progress_callback.*/progress_callback/p; s/^ .*[ *]([a-z_]+);$/\1/p'
}
for struct in llama_model_params llama_context_params; do
    echo "    S($struct)"
    for field in $(fields $struct) $([ $struct = llama_model_params ] && echo progress_callback); do
        echo "    F($struct, $field)"
    done
done >>look.c
cat >>look.c <<'C'
    printf("linear %d none %d norm %d neox %d\n", LINEAR, NONE, NORM, NEOX);
    return 0;
}
C
[ "$(grep -c 'F(llama_context_params' look.c)" -gt 30 ] || complain "the fields were not found"
{
    printf '#include "%s"\n' "$include/llama.h"
    printf '#define LINEAR LLAMA_ROPE_SCALING_TYPE_LINEAR\n#define NONE LLAMA_ROPE_TYPE_NONE\n'
    printf '#define NORM LLAMA_ROPE_TYPE_NORM\n#define NEOX LLAMA_ROPE_TYPE_NEOX\n'
    cat look.c
} >theirs.c
{
    printf '#include "%s"\n' "$SOURCE/runner/llama_api.h"
    printf '#define LINEAR TSR_LLAMA_ROPE_SCALING_LINEAR\n#define NONE TSR_LLAMA_ROPE_NONE\n'
    printf '#define NORM TSR_LLAMA_ROPE_NORM\n#define NEOX TSR_LLAMA_ROPE_NEOX\n'
    cat look.c
} >ours.c
cc -I "$include" -w theirs.c -o theirs && cc -I "$SOURCE/include" -w ours.c -o ours || complain "a program does not compile"
is "layout" "$(./theirs)" "$(./ours)"
finish
