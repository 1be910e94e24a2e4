#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera schedule: its sums are those of the formula in schedule.h, and mistakes are named.
. "$(dirname "$0")/../support/cli.bash"

run schedule --list --json
code_is 0
json_ok
is "published" True "$(json '"visiondrop-32" in [s["name"] for s in d["schedules"]]')"
run schedule visiondrop-32 --text 60 --json
code_is 0
is "mean, operations, bytes" True "$(json '(lambda cost: d["mean_visual"] == 32 and all(abs(a / b - 1) < 1e-12 for a, b in [
    (d["operations"], sum(cost(k + 60) for k in d["kept"])), (d["operations_whole"], 32 * cost(636)),
    (d["kv_bytes"], sum(4 * (k + 60) * 4096 for k in d["kept"])), (d["kv_bytes_whole"], 32 * 4 * 636 * 4096)]))(
    lambda n: 2 * n * (4 * 4096 * 4096 + 3 * 4096 * 11008) + 4 * n * n * 4096)')"
run schedule --steps 0:576,2:288,16:58 --layers 32 --json
code_is 0
is "kept" "[576, 576, 288, 58]" "$(json '[d["kept"][i] for i in (0, 1, 2, 31)]')"
"$BUILD/make_gguf" small model.gguf || complain "make_gguf"
run schedule --steps 0:100,1:10 --visual 100 --gguf model.gguf
code_is 0
out_has '55.0 visual tokens a layer'
fails 3 "no published schedule 'visiondrop'; did you mean 'visiondrop-32'\?" schedule visiondrop
fails 2 'a schedule is missing' schedule
fails 2 '--layers N is missing' schedule --steps 0:5
fails 2 '' schedule --steps 1:5 --layers 4
fails 2 '' schedule --steps 0:700 --layers 4
fails 2 'wanted a multiple of --heads 3' schedule visiondrop-32 --heads 3
fails 3 'none.gguf' schedule --steps 0:5 --gguf none.gguf
finish
