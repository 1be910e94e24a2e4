#!/bin/bash
# SPDX-License-Identifier: MIT
# Sets of ids made by a rule go through every format that is written and back: what a format keeps comes
# back equal, and a type that is too small is refused.
. "$(dirname "$0")/../support/cli.bash"
exec python3 -B "$SOURCE/tests/support/dataset_cases.py" own
