#!/bin/bash
# SPDX-License-Identifier: MIT
# scripts/test-summary.sh counts what ran, failed and was skipped, with reasons, and refuses a skip
# without one.
. "$(dirname "$0")/../support/cli.bash"

summary() {
    last="test-summary $*"
    bash "$SOURCE/scripts/test-summary.sh" "$@" >out 2>err
    code=$?
}
suite() { # suite FOLDER TESTCASE...
    mkdir -p "$1"
    { printf '<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="(empty)"\n\ttests="%d"\n\t>\n' $(($# - 1))
      printf '%b' "${@:2}"
      echo '</testsuite>'; } >"$1/tests.xml"
}
testcase() { # testcase NAME STATUS OUTPUT
    printf '\\t<testcase name="%s" classname="%s" time="1" status="%s">\\n\\t\\t<system-out>%s</system-out>\\n\\t</testcase>\\n' \
        "$1" "$1" "$2" "$3"
}
suite one "$(testcase a run '')" "$(testcase b notrun 'seed\nskipped: no &lt;thing&gt;\n')" \
    "$(testcase c notrun 'skipped: no &lt;thing&gt;\n')" "$(testcase d fail 'left out: x &amp; y\nleft out: x &amp; y\n')" \
    "$(testcase e notrun 'skipped: too slow\n')" "$(testcase f run 'this mentions skipped: nothing\n')"
summary one
code_is 0
out_is 'one: 3 tests ran, 3 skipped, 1 failed
  skipped: no <thing>: 2 tests: b, c
  skipped: too slow: 1 test: e
  left out of tests that ran: x & y: 1 test: d'
err_empty
suite two "$(testcase g notrun 'nothing said\n')" "$(testcase h run '')"
summary one two
code_is 1
out_has '^one: 3 tests ran, 3 skipped, 1 failed$'
out_has '^two: 1 test ran, 1 skipped, 0 failed$'
out_has '^  skipped without a reason: g$'
summary three
code_is 1
err_is 'test-summary: no three/tests.xml'
finish
