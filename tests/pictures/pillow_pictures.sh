#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs pillow_pictures.py with the Python that has Debian's Pillow: the one that is linked with the same
# libraries as the library under test. A Pillow from elsewhere brings libraries of its own.
set -euo pipefail
python=/usr/bin/python3
if [ ! -x "$python" ] || ! "$python" -c 'import PIL' 2>/dev/null; then
    echo "skipped: $python has no Pillow (python3-pil)"
    exit 77
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$python" "$(dirname "$0")/pillow_pictures.py" "$@"
