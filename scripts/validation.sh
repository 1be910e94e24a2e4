#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the tests that use Vulkan on lavapipe with the Khronos validation layer forced on, core and
# synchronisation checks: not one message may appear.
#   validation.sh [BUILD-FOLDER [CTEST-REGEX]]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(cd "${1:-build/release}" && pwd)
tests=${2:-^(op_|test_.*(vulkan|device|recorder|model|mosaic|quantizer|vq|fsq|kmeans|codec))}
work=$PWD/build/validation
mkdir -p "$work"

icd=$(ls /usr/share/vulkan/icd.d/lvp_icd.*.json 2>/dev/null | head -1 || true)
[ -n "$icd" ] || { echo "validation: no lavapipe here (mesa-vulkan-drivers)" >&2; exit 1; }
# Layers since 1.4 look at what shaders access only with the heuristic.
cat >"$work/vk_layer_settings.txt" <<'S'
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
khronos_validation.syncval_shader_accesses_heuristic = true
khronos_validation.report_flags = error,warn
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.log_filename = stdout
khronos_validation.enable_message_limit = false
S
export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd VK_LAYER_SETTINGS_PATH=$work
export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation

# test_provoked_hazard makes the layer speak on purpose: it is run first and alone, and must be
# heard; everything it says is expected and not counted.
provoke=^test_provoked_hazard$
faults='VUID-|SYNC-HAZARD|UNASSIGNED-|Validation (Error|Warning)'
(cd "$build" && ctest --no-tests=error -V -R "$provoke") >"$work/provoked.txt" 2>&1 ||
    { tail -40 "$work/provoked.txt"; echo "validation: the provoked hazard was not reported" >&2; exit 1; }
provoked=$(grep -cE 'SYNC-HAZARD' "$work/provoked.txt" || true)
[ "$provoked" -gt 0 ] || { echo "validation: the layer said nothing about a hazard" >&2; exit 1; }
echo "validation: $provoked messages provoked on purpose (expected)"

# The loader's own log stands between the tests' output: a silent layer that was never loaded would
# prove nothing.
(cd "$build" && VK_LOADER_DEBUG=layer ctest --no-tests=error -V -R "$tests" -E "$provoke") >"$work/log.txt" 2>&1 ||
    { tail -40 "$work/log.txt"; echo "validation: tests failed" >&2; exit 1; }
grep -qi 'insert.*VK_LAYER_KHRONOS_validation' "$work/log.txt" ||
    { echo "validation: the layer was not loaded" >&2; exit 1; }
tail -4 "$work/log.txt"
messages=$(grep -cE "$faults" "$work/log.txt" || true)
echo "validation: $messages unexpected messages (log: ${work#"$PWD"/}/log.txt)"
if [ "$messages" -ne 0 ]; then
    grep -oE 'VUID-[A-Za-z0-9-]+|SYNC-HAZARD-[A-Z-]+|UNASSIGNED-[A-Za-z-]+' "$work/log.txt" |
        sort | uniq -c | sort -rn
    exit 1
fi
