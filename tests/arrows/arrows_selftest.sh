#!/bin/bash
# SPDX-License-Identifier: MIT
# Each rule of arrows.sh is broken once in a small tree of its own; the rule must be named, and a
# tree that breaks none must pass. So that the guard cannot fall asleep.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
failed=0
licence='/* SPDX-License-Identifier: MIT */'

clean() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/{compute/cpu,formats,tools,quantizer,include/tessera,scripts}
    cp "$here/../../.clang-format" "$tree/" 2>/dev/null
    printf '%s\nint tsr_fine(void);\n' "$licence" >"$tree/compute/context.h"
    printf '%s\nint tsr_op(void);\n' "$licence" >"$tree/compute/op.h"
    printf '%s\n#include "../compute/context.h"\n' "$licence" >"$tree/formats/file.c"
    printf '%s\n#include <tessera/tessera.h>\n' "$licence" >"$tree/tools/main.c"
}
# expect WHAT RULE-TEXT: the tree as it stands must be refused with that text
expect() {
    out=$(SOURCE=$tree bash "$here/arrows.sh" 2>&1)
    if [ $? -eq 0 ] || ! grep -qF -- "$2" <<<"$out"; then
        echo "FAILED: $1: wanted \"$2\", got:"
        echo "$out"
        failed=1
    fi
}

clean
if ! out=$(SOURCE=$tree bash "$here/arrows.sh" 2>&1); then
    echo "FAILED: a clean tree is refused:"
    echo "$out"
    failed=1
fi
clean; printf '%s\n#include "../compute/context.h"\n' "$licence" >"$tree/tools/main.c"
expect "tool sees inner header" "tools must not include compute/context.h"
clean; printf '%s\n#include "../compute/op.h"\n' "$licence" >"$tree/formats/file.c"
expect "formats sees the op table" "formats must not include compute/op.h"
clean; printf '%s\n#include "../formats/image.h"\n' "$licence" >"$tree/compute/a.c"
printf '%s\n' "$licence" >"$tree/formats/image.h"
expect "compute sees formats" "compute must not include formats/image.h"
# Every row of the table: what it must not include. FOLDER TARGET [ROW], from the root of the tree;
# ROW: where the folder has none of its own.
while read -r folder target row; do
    clean
    mkdir -p "$tree/$folder" "$tree/${target%/*}"
    [ -e "$tree/$target" ] || printf '%s\n' "$licence" >"$tree/$target"
    up=$(sed 's|[^/]*|..|g' <<<"$folder")
    printf '%s\n#include "%s/%s"\n' "$licence" "$up" "$target" >"$tree/$folder/row.c"
    expect "row $folder" "$folder/row.c:2: ${row:-$folder} must not include $target"
done <<'ROWS'
include compute/context.h
compute formats/image.h
compute ops/ops.h
compute/cpu compute/vulkan/plan.h
compute/cpu ops/conv2d.h
compute/vulkan compute/cpu/simd.h
formats compute/device.h
formats/tokens metrics/metrics.h formats
formats media/image.h
media formats/tokens/token_layout.h
media compute/device.h
ops compute/vulkan/plan.h
ops formats/file.h
ops nn/vit.h
formats ops/ops.h
quantizer nn/vit.h
reduce models/model.h
nn models/model.h
nn media/image.h
models codec/tokenizer.h
towers models/model.h
towers codec/fit.h
metrics codec/fit.h
metrics/judges codec/fit.h
codec/tokenizers codec/fit.h
codec/tokenizers models/model.h
codec/tokenizers media/image.h
models media/image.h
codec codec/tokenizers/titok.h
codec verify/verify.h
codec metrics/judges/lpips.h
runner compute/device.h
verify bench/bench.h
bench verify/verify.h
tools compute/context.h
tools tools/samples/canvas.h
tools/samples tools/tool.h
vulkan_shaders compute/context.h
scripts compute/context.h
ROWS
clean; printf '%s\n#include "../compute/op.h"\n' "$licence" >"$tree/quantizer/vq.c"
expect "op.h outside the ops" "op.h is for the inside of compute"
clean; mkdir -p "$tree"/{codec,metrics}
printf '%s\nint tsr_fine(void);\n' "$licence" | tee "$tree/metrics/ssim.h" >"$tree/metrics/metrics.h"
printf '%s\n#include "../metrics/metrics.h"\n#include "../metrics/ssim.h"\n' "$licence" >"$tree/codec/a.c"
expect "codec looks behind metrics.h" "codec/a.c:3: codec must not include metrics/ssim.h"
clean; mkdir "$tree/metrics"; printf '%s\n' "$licence" >"$tree/metrics/metrics.h"
printf '%s\n#include "../metrics/metrics.h"\n' "$licence" >"$tree/formats/a.c"
expect "formats sees metrics" "formats must not include metrics/metrics.h"
clean; printf '%s\n' "$licence" >"$tree/formats/image.h"
printf '%s\n#include "../formats/image.h"\n' "$licence" >"$tree/compute/a.S"
expect "an assembler file is held, too" "compute must not include formats/image.h"
clean; printf '%s\n#include <formats/image.h>\n' "$licence" >"$tree/compute/a.c"
expect "around the rules" "inner header in <>"
clean; printf '%s\n#include "tensor.h"\n' "$licence" >"$tree/compute/context.h" # x.h, y.c, y.h, x.h
printf '%s\n#include "arena.h"\n' "$licence" >"$tree/compute/tensor.c"
printf '%s\n' "$licence" >"$tree/compute/tensor.h"
printf '%s\n#include "context.h"\n' "$licence" >"$tree/compute/arena.h"
expect "circle of three" "compute/tensor.c:2: include of compute/arena.h is part of a circle of files: compute/arena compute/context compute/tensor"
clean; printf '%s\n#include "op.h"\n' "$licence" >"$tree/compute/device.h" # an allowed circle, grown
printf '%s\n#include "device.h"\n#include "tensor.h"\n' "$licence" >"$tree/compute/op.h"
printf '%s\n#include "op.h"\n' "$licence" >"$tree/compute/tensor.h"
expect "circle that grew" "compute/tensor.h:2: include of compute/op.h is part of a circle of files: compute/"
clean; mkdir "$tree/attic"; printf '%s\n' "$licence" >"$tree/attic/a.c"
expect "unknown folder" 'folder "attic" has no line'
clean; printf '%s\n' "$licence" >"$tree/compute/cpu/file.c"
expect "name twice" "same file name as"
clean; printf 'int x;\n' >"$tree/formats/file.c"
expect "no licence" "no SPDX line"
clean; { echo "$licence"; for i in {1..801}; do echo "int x$i;"; done; } >"$tree/formats/file.c"
expect "too long" "lines: wanted at most 800"
clean; printf '%s\nint\tx;\n' "$licence" >"$tree/formats/file.c"
expect "tab" "formats/file.c:2: tab"
clean; printf '%s\nint x; \n' "$licence" >"$tree/formats/file.c"
expect "trailing blank" "formats/file.c:2: blanks"
clean; printf '%s\nint x;' "$licence" >"$tree/formats/file.c"
expect "no newline" "no newline at the end"
clean; printf '%s\n/* T%sDO: later */\n' "$licence" O >"$tree/formats/file.c"
expect "marker" "leftover marker"
clean; printf '%s\n/* /ro%s/x */\n' "$licence" ot >"$tree/formats/file.c"
expect "machine path" "path of a machine"
clean; printf '#!/bin/bash\n# SPDX-License-Identifier: MIT\nls | grep -%s a\n' iq >"$tree/scripts/a.sh"
expect "a race of pipes" "scripts/a.sh:3: a pipe into grep -q"
if command -v clang-format-14 >/dev/null; then
    clean; printf '%s\nint   x ;\n' "$licence" >"$tree/formats/file.c"
    expect "layout" "not as clang-format-14 would write it"
else
    echo "left out: no clang-format-14: the layout of C is not looked at"
fi
[ $failed -eq 0 ] && echo "arrows_selftest: every rule refuses what it should"
exit $failed
