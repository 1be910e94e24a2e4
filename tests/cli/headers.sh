#!/bin/bash
# SPDX-License-Identifier: MIT
# Each public header compiles alone, as C11 and as C++, without a warning; and the ten-line example
# at the top of tessera.h compiles, links with the shared library and does what it says.
set -euo pipefail
source=${SOURCE:?} build=${BUILD:?}
cc=${CC:-cc} cxx=$(command -v "${CXX:-c++}") || { cxx=""; echo "left out: no C++ compiler: the headers are not tried in C++"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

for header in "$source"/include/tessera/*.h "$source"/include/tessera/runner/*.h; do
    name=${header#"$source/include/"}
    for define in "" "#define TESSERA_EXPERIMENTAL"; do
        # Twice: the guard must hold.
        printf '%s\n#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' \
            "$define" "$name" "$name" >alone.c
        cp alone.c alone.cpp
        "$cc" -std=c11 -pedantic-errors -Wall -Wextra -Werror -I"$source/include" -c alone.c -o alone.o
        [ -z "$cxx" ] || "$cxx" -std=c++11 -pedantic-errors -Wall -Wextra -Werror -I"$source/include" -c alone.cpp -o alone.o
    done
    echo "$name: compiles alone as C11${cxx:+ and C++11}"
done

# The example: the lines of the opening comment from the first #include to the closing brace.
sed -n '/^ \*     #include/,/^ \*     }/p' "$source/include/tessera/tessera.h" |
    sed 's/^ \*     //; s/^ \*$//' >example.c
lines=$(grep -c . example.c)
[ "$lines" -ge 5 ] || { echo "example not found in tessera.h"; exit 1; }
[ "$lines" -le 15 ] || { echo "the ten-line example has $lines lines"; exit 1; }
"$cc" -std=c11 -Wall -Wextra -Werror -I"$source/include" example.c -o example \
    -L"$build" -ltessera -Wl,-rpath,"$build"
echo "example: $lines lines, compiles and links"

# The README shows the same program.
sed -n '/^```c$/,/^```$/p' "$source/README.md" | sed '/^```/d' >readme.c
diff example.c readme.c || { echo "the example of README.md is not the one of tessera.h"; exit 1; }

# A 40x30 picture without any tool: binary PPM.
{ printf 'P6\n40 30\n255\n'; head -c 3600 /dev/zero | tr '\0' '\200'; } >grey.ppm
./example grey.ppm
[ "$(head -c 8 back.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] ||
    { echo "back.png is no PNG"; exit 1; }
[ -s photo.tess ] || { echo "photo.tess is empty"; exit 1; }
echo "example: grey.ppm -> photo.tess ($(stat -c %s photo.tess) bytes) -> back.png"
if ./example missing.png 2>message; then echo "a missing picture must fail"; exit 1; fi
grep -q missing.png message || { echo "wanted the missing file's name in: $(cat message)"; exit 1; }
