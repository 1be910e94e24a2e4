#!/bin/bash
# SPDX-License-Identifier: MIT
# Data sets that the formats' own libraries wrote: read with the same ids, and written with the same
# bytes where the format leaves no choice.
. "$(dirname "$0")/../support/cli.bash"
golden=${SHARED:-}/golden/dataset-formats
[ -d "$golden" ] || skip "../shared/golden/dataset-formats is not there"
exec python3 -B "$SOURCE/tests/support/dataset_cases.py" golden "$golden"
