#!/bin/bash
# SPDX-License-Identifier: MIT
# Damaged and hostile data sets that are made here: refused, or without the bad item, or read.
. "$(dirname "$0")/../support/cli.bash"
exec python3 -B "$SOURCE/tests/support/dataset_cases.py" own-hostile
