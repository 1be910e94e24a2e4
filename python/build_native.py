# SPDX-License-Identifier: MIT
"""Writes the C source of tessera._native from the headers that are installed.

    build_native.py HEADER-FOLDER OUTPUT.c [HEADER.h ...]

cffi reads C declarations, but knows neither comments nor most macros. So the public headers (and the
further HEADERs) are brought to what it knows: includes followed, conditions decided, comments
removed. No declaration stands here a second time, hence none can drift; the C compiler checks every
offset again.
"""
import os
import re
import sys

DEFINED = {"TESSERA_EXPERIMENTAL": ""}  # linked statically: the experimental calls are those of this build
FIRST = "tessera/tessera.h"  # the others need what it declares
# Calls that take memory from malloc hand it over with free().
SYSTEM = "void free(void *memory);\n"


def without_comments(text):
    """Comments become blanks, lines stay lines."""
    def blank(match):
        return " " + "\n" * match.group(0).count("\n")
    return re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.DOTALL).replace("\\\n", " ")


def constant(name, value):
    """The line cffi takes for `#define name value`: integers only, their values from the compiler."""
    if re.fullmatch(r"[0-9]+", value):
        return f"#define {name} {value}\n"
    if "(" not in name and re.fullmatch(r"[0-9A-Za-z_()<>+*| -]+", value) and "." not in value:
        return f"#define {name} ...\n"
    return ""  # floats and texts


class Preprocessor:
    """The part of C's preprocessor that the public headers use; anything else ends the build."""

    def __init__(self, folder, defined):
        self.folder = folder
        self.defined = dict(defined)
        self.seen = set()

    def file(self, path):
        path = os.path.realpath(path)
        if path in self.seen:
            return ""
        self.seen.add(path)
        with open(path, encoding="utf-8") as file:
            lines = without_comments(file.read()).split("\n")
        out, taken = [], []  # taken: of each open condition, whether its lines count
        for number, line in enumerate(lines, 1):
            match = re.match(r"\s*#\s*([a-z]+)\s*(.*?)\s*$", line)
            if match:
                out.append(self.directive(f"{path}:{number}", *match.groups(), taken, path))
            elif all(taken):
                out.append(line + "\n")
        if taken:
            sys.exit(f"{path}: wanted #endif, got the end of the file")
        return "".join(out)

    def directive(self, place, word, rest, taken, path):
        if word in ("ifdef", "ifndef"):
            taken.append((rest in self.defined) == (word == "ifdef"))
        elif word == "else" and taken:
            taken[-1] = not taken[-1]
        elif word == "endif" and taken:
            taken.pop()
        elif not all(taken):
            if word == "if":
                taken.append(False)
        elif word == "include":
            inner = re.fullmatch(r'"([^"]+)"|<(tessera/[^>]+)>', rest)
            if inner and inner.group(1):
                return self.file(os.path.join(os.path.dirname(path), inner.group(1)))
            if inner:
                return self.file(os.path.join(self.folder, inner.group(2)))
        elif word == "define":
            name, _, value = rest.partition(" ")
            self.defined[name] = value
            return constant(name, value.strip()) if value.strip() else ""
        else:
            sys.exit(f"{place}: wanted a directive that build_native.py knows, got #{word} {rest}")
        return ""


def callbacks(declarations):
    """extern "Python" functions, one for each callback type that the package answers."""
    lines = []
    for kind in ("progress", "log", "token_damage"):
        match = re.search(r"typedef\s+(\w+)\s+\(\*tsr_" + kind + r"_fn\)\(([^)]*)\)\s*;", declarations)
        if not match:
            sys.exit(f"the headers: wanted the callback tsr_{kind}_fn, got none")
        lines.append(f"{match.group(1)} tessera_python_{kind}({match.group(2)});")
    return 'extern "Python" {\n' + "\n".join(lines) + "\n}\n"


def headers(folder):
    """Names of all public headers, so that a new one is there at once."""
    others = sorted(f"tessera/{name}" for name in os.listdir(os.path.join(folder, "tessera")) if name.endswith(".h"))
    return [FIRST] + [name for name in others if name != FIRST]


def declarations(folder, further=()):
    """What cffi's cdef gets."""
    reader = Preprocessor(folder, DEFINED)
    text = "".join(reader.file(path) for path in [os.path.join(folder, name) for name in headers(folder)] + list(further))
    text = re.sub(r"\n\s*\n+", "\n", text)
    return text + callbacks(text) + SYSTEM


def main(folder, output, *further):
    import cffi

    builder = cffi.FFI()
    builder.cdef(declarations(folder, further))
    includes = "".join(f'#include <{name}>\n' for name in headers(folder))
    includes += "".join(f'#include "{os.path.basename(path)}"\n' for path in further)
    builder.set_source("tessera._native",
                       "#define TESSERA_EXPERIMENTAL 1\n#include <stdlib.h>\n" + includes)
    builder.emit_c_code(output)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
