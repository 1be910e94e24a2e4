# SPDX-License-Identifier: MIT
"""Pictures of every kind, read by the library and by Pillow, compared byte by byte.
    pillow_pictures.py PICTURE_PIXELS [--markdown | --computed]
Pillow's pixels are exif_transpose(open(file)).convert("RGB"). Prints a table of kinds; exit 1 when one picture
differs in a way that MEANT does not name, 77 when there is no Pillow. What is meant to differ is checked, too: with
the setting that asks for Pillow's way where there is one, and against pixels computed here. With --computed only
those are compared whose pixels are computed here, and no Pillow is needed."""
import collections
import io
import os
import subprocess
import sys
import tempfile
import warnings

COMPUTED = "--computed" in sys.argv
if not COMPUTED:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        print("skipped: no Pillow for this Python (python3-pil)")
        sys.exit(77)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import picture_cases  # noqa: E402

warnings.simplefilter("ignore")

# Every difference that is meant, with its reason. The key stands in the table.
MEANT = {
    "alpha": "alpha is composited on the background (white), Pillow's convert drops it; `drop_alpha` gives Pillow's",
    "grey16": "grey of more than 8 bits is scaled to 8, Pillow cuts it at 255; `pillow_grey16` gives Pillow's",
    "unread": "Pillow 9.4 does not read this kind; compared with pixels computed by the test",
    "mended": "Pillow 9.4 reads this kind wrongly; compared with pixels computed by the test",
    "refused": "refused by name with what to do; Pillow cuts the values at 0 and 255, or does not read it either",
}


def read_all(program, flags, paths):
    """[(words, (width, height), pixels)] for every path."""
    out = subprocess.run([program, *flags, *paths], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    if out.stderr:
        raise SystemExit(f"the library printed: {out.stderr[:200]!r}")
    data, at, results = out.stdout, 0, []
    for _ in paths:
        end = data.index(b"\n", at)
        line = data[at:end].decode(errors="replace")
        at, size, pixels = end + 1, None, None
        if line.startswith("ok "):
            size = tuple(int(v) for v in line.split()[1:3])
            pixels = data[at:at + size[0] * size[1] * 3]
            at += len(pixels)
        results.append((line, size, pixels))
    return results


def by_pillow(data, mode):
    """((width, height), bytes), or the words of the error."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        if image.format != "TIFF":  # this version of Pillow turns TIFFs as it loads them
            image = ImageOps.exif_transpose(image)
        if mode == "RGBA" and "transparency" in image.info and image.mode in ("1", "L"):
            image = image.convert("L") if image.mode == "1" else image
        image = image.convert(mode)
        return image.size, image.tobytes()
    except Exception as error:  # Pillow raises anything
        return None, f"{type(error).__name__}: {error}"


def composite(rgba):
    out = bytearray()
    for i in range(0, len(rgba), 4):
        a = rgba[i + 3]
        out += bytes((v * a + 255 * (255 - a) + 127) // 255 for v in rgba[i:i + 3])
    return bytes(out)


def judge(case, plain, pillow_way):
    """None where all is as it should be, otherwise what is not."""
    line, size, pixels = plain
    if case.how == "refused":
        return None if line.startswith("70 ") and case.want in line else f"wanted a refusal with {case.want!r}: {line}"
    if pixels is None:
        return line
    if case.how in ("unread", "mended") or COMPUTED:
        return None if (size, pixels) == case.want else "not the pixels that were computed"
    wanted = by_pillow(case.data, "RGB")
    if wanted[0] is None:
        return f"Pillow failed: {wanted[1]}"
    if case.how == "same":
        return None if (size, pixels) == wanted else difference(size, pixels, wanted)
    if pillow_way[1:] != wanted:
        return "with Pillow's settings: " + difference(pillow_way[1], pillow_way[2], wanted)
    if case.want is None:
        case.want = wanted[0], composite(by_pillow(case.data, "RGBA")[1])
    return None if (size, pixels) == case.want else "not the pixels that were computed"


def difference(size, pixels, wanted):
    if size != wanted[0] or pixels is None:
        return f"{size} pixels, Pillow has {wanted[0]}"
    off = [abs(a - b) for a, b in zip(pixels, wanted[1])]
    return f"{sum(1 for v in off if v)} of {len(off)} values differ, by up to {max(off)}"


def main():
    program, markdown = sys.argv[1], "--markdown" in sys.argv
    if COMPUTED:
        import computed_cases
        cases, left_out = computed_cases.make(), []
    else:
        cases, left_out = picture_cases.make()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, case in enumerate(cases):
            paths.append(os.path.join(folder, f"{i:04}"))
            with open(paths[-1], "wb") as file:
                file.write(case.data)
        plain = read_all(program, [], paths)
        pillow_way = read_all(program, ["--drop-alpha", "--pillow-grey16"], paths)
    equal, meant = collections.Counter(), collections.Counter()
    wrong, kinds, keys, unread = [], [], collections.defaultdict(set), 0
    for case, one, two in zip(cases, plain, pillow_way):
        if "this build was made without" in one[0]:
            unread += 1
            why = one[0][one[0].index("this build was made"):one[0].index(";")]
            left_out += [why] if why not in left_out else []
            continue
        if case.kind not in kinds:
            kinds.append(case.kind)
        fault = judge(case, one, two)
        if fault:
            wrong.append((case, fault))
        elif case.how == "same":
            equal[case.kind] += 1
        else:
            meant[case.kind] += 1
            keys[case.kind].add(case.how)
    show(kinds, equal, meant, keys, wrong, markdown)
    for case, fault in wrong:
        print(f"different: {case.kind}: {case.name}: {fault}")
    for why in left_out:
        print(f"left out: {why}")
    if COMPUTED:
        print(f"{len(cases)} pictures: {len(cases) - unread - len(wrong)} as computed, {len(wrong)} not, {unread} left out")
    else:
        print(f"{len(cases)} pictures: {sum(equal.values())} equal to Pillow {Image.__version__}, "
              f"{sum(meant.values())} different as meant, {len(wrong)} different otherwise, "
              f"{unread} left out")
    return 1 if wrong or not kinds else 0


def show(kinds, equal, meant, keys, wrong, markdown):
    bad = collections.Counter(case.kind for case, _ in wrong)
    rows = [("kind", "equal", "as meant", "why", "other")]
    for kind in kinds:
        rows.append((kind, str(equal[kind]), str(meant[kind]), ", ".join(sorted(keys[kind])), str(bad[kind])))
    if markdown:
        rows.insert(1, ("---", "---:", "---:", "---", "---:"))
        for row in rows:
            print("| " + " | ".join(row) + " |")
        return
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    for key, reason in MEANT.items():
        print(f"{key}: {reason}")


if __name__ == "__main__":
    sys.exit(main())
