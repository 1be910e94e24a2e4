#!/bin/bash
# SPDX-License-Identifier: MIT
# Damaged and hostile data sets, each with the verdict of its manifest.
. "$(dirname "$0")/../support/cli.bash"
golden=${SHARED:-}/golden/dataset-formats
[ -d "$golden/hostile" ] || skip "../shared/golden/dataset-formats is not there"
exec python3 -B "$SOURCE/tests/support/dataset_cases.py" hostile "$golden"
