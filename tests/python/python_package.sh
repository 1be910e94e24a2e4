#!/bin/bash
# SPDX-License-Identifier: MIT
# The Python package as a user gets it: a wheel from the sources, installed in a virtual environment of
# its own, then pytest over it.
#   python_package.sh [TESTS...]     files or folders of the source tree; default tests/python
# PACKAGES: further packages for the environment; PLACE: where it and the wheel lie.
set -euo pipefail
: "${SOURCE:?the source tree}" "${BUILD:?the build with the program and make_samples}"
place=${PLACE:-$BUILD/python}
mkdir -p "$place"
light=(scikit-build-core cffi numpy pytest pyarrow webdataset safetensors)
# shellcheck disable=SC2086
python=$(bash "$SOURCE/tests/support/python_venv.sh" "$place/venv" "${light[@]}" ${PACKAGES:-}) || {
    status=$?
    echo "$python"
    exit $status
}
if ! "$python" -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))'; then
    echo "skipped: Python's headers are missing (python3-dev)"
    exit 77
fi
rm -rf "$place/wheel"
begin=$SECONDS
# With -O1, which rounds like -O3 and compiles in less time. The build folder stays, so that another run, in whatever place, compiles what has changed; one at a time.
mkdir -p "$BUILD/python"
exec 9>"$BUILD/python/lock"
if command -v flock >/dev/null; then flock 9; fi
"$python" -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --no-index \
    -C build-dir="$BUILD/python/build" -C cmake.define.CMAKE_C_FLAGS_RELEASE=-O1 -w "$place/wheel" "$SOURCE/python" >"$place/wheel.log" 2>&1 || {
    tail -40 "$place/wheel.log"
    exit 1
}
exec 9>&-
echo "the wheel took $((SECONDS - begin)) s: $(cd "$place/wheel" && ls -s --block-size=K)"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall "$place"/wheel/*.whl
cd "$place"
# Nothing of the source tree is imported in place of what was installed.
export PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
unset PYTHONPATH RANK WORLD_SIZE
arguments=()
for each in "${@:-tests/python}"; do arguments+=("$SOURCE/$each"); done
"$python" -m pytest -q "${arguments[@]}"
