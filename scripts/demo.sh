#!/bin/bash
# SPDX-License-Identifier: MIT
# Shows what the bundled tokenizer does: pictures and a clip to token files and back, a table, a contact sheet.
#   demo.sh [PICTURE...]     without pictures: the samples, drawn by make_samples (the clip is one of them)
# Everything it makes lies under demo/ (OUT=folder: elsewhere). DEVICE=vulkan:0 chooses another device.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}
out=${OUT:-demo}
tessera=$build/tessera
device=${DEVICE:-auto}
[ -x "$tessera" ] || { echo "demo: no $tessera: run make build first" >&2; exit 1; }

mkdir -p "$out/tokens" "$out/pictures"
clip=
if [ $# -eq 0 ]; then
    echo "Drawing the samples into $out/samples ..."
    "$build/make_samples" "$out/samples"
    set -- "$out"/samples/*.png
    [ ! -f "$out/samples/clip.mkv" ] || clip=$out/samples/clip.mkv # a build with video
fi

# value KEY < JSON: the first number or text of that name, as the program prints one member a line
value() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" | head -n 1; }
# column NAME < CSV: that cell of the first row; texts stand in front and have no commas here.
column() { awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; ++i) if ($i == name) at = NF - i } NR == 2 { print $(NF - at) }'; }

printf '\n%-20s %10s %7s %8s %8s %8s %9s %9s\n' picture size tokens bytes PSNR SSIM 'encode s' 'decode s'
name_of_device=
number=0
for picture in "$@"; do
    number=$((number + 1))
    name=$(basename "$picture")
    stem=$number-${name%.*}
    encoded=$("$tessera" encode -f "$picture" -o "$out/tokens/$stem.tess" --device "$device" --json)
    decoded=$("$tessera" decode -f "$out/tokens/$stem.tess" -o "$out/pictures/$stem.png" --device "$device" --json)
    info=$("$tessera" info "$out/tokens/$stem.tess" --json)
    size="$(value source_width <<<"$info")x$(value source_height <<<"$info")"
    psnr=- ssim=-
    # A picture that cannot be measured still has its row.
    if measured=$("$tessera" eval "$picture" "$out/pictures/$stem.png" --metrics psnr,ssim --csv - -q 2>/dev/null); then
        psnr=$(printf '%.2f' "$(column psnr <<<"$measured")" 2>/dev/null) || psnr=-
        ssim=$(printf '%.4f' "$(column ssim <<<"$measured")" 2>/dev/null) || ssim=-
    fi
    name_of_device=$(sed -n 's/^ *"device": "\(.*\)",$/\1/p' <<<"$encoded")
    printf '%-20.20s %10s %7s %8s %8s %8s %9.2f %9.2f\n' "$name" "$size" \
        "$(value tokens <<<"$encoded")" "$(value bytes <<<"$encoded")" "$psnr" "$ssim" \
        "$(value total_seconds <<<"$encoded")" "$(value total_seconds <<<"$decoded")"
done
strips=()
if [ -n "$clip" ]; then
    back=$out/pictures/clip.mp4
    encoded=$("$tessera" encode -f "$clip" -o "$out/tokens/clip.tess" --device "$device" --json)
    decoded=$("$tessera" decode -f "$out/tokens/clip.tess" -o "$back" --device "$device" --json)
    measured=$("$tessera" eval "$clip" "$back" --json)
    printf '%-20.20s %10s %7s %8s %8.2f %8.4f %9.2f %9.2f\n' "clip.mkv, $(value frames <<<"$measured") frames" \
        "$(value width <<<"$measured")x$(value height <<<"$measured")" "$(value tokens <<<"$encoded")" \
        "$(value bytes <<<"$encoded")" "$(value psnr_pooled < <(sed -n '/"video"/,$p' <<<"$measured"))" \
        "$(value ssim_gaussian < <(sed -n '/"video"/,$p' <<<"$measured"))" \
        "$(value total_seconds <<<"$encoded")" "$(value total_seconds <<<"$decoded")"
    strips=(--strip "$clip" --strip "$back")
fi
printf '\nDevice: %s\nSeconds are of the whole program, from its start to the closed file.\n' "$name_of_device"
printf 'PSNR in dB over 8-bit RGB; SSIM with the 11x11 gaussian window of Wang et al. 2004.\n\n'

"$tessera" sheet -f "$@" "${strips[@]}" -o "$out/contact-sheet.png" -k 16,64,256 --device "$device" -q
echo "Token files:    $out/tokens/"
echo "Decoded again:  $out/pictures/"
echo "Contact sheet:  $out/contact-sheet.png   (original, 16, 64 and 256 tokens a tile${clip:+; frames of the clip and of what came back})"
