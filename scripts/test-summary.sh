#!/bin/bash
# SPDX-License-Identifier: MIT
# How many tests of a suite ran, how many were skipped and why, from the tests.xml that
#     ctest --output-junit tests.xml --test-output-size-passed 1000000
# left in a build folder: a line for each suite, one for each reason of a skip, and one for each thing
# that tests which ran had to leave out. Exit 1 where a skipped test gave no reason.
#   test-summary.sh BUILD-FOLDER...
set -u
[ $# -gt 0 ] || { sed -n '3,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
status=0
for folder in "$@"; do
    [ -f "$folder/tests.xml" ] || { echo "test-summary: no $folder/tests.xml" >&2; exit 1; }
    awk -v suite="$(basename "$folder")" '
    function attribute(name,   at) {
        at = index($0, " " name "=\"")
        if (!at) return ""
        rest = substr($0, at + length(name) + 3)
        return substr(rest, 1, index(rest, "\"") - 1)
    }
    function plain(text) {
        gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&quot;/, "\"", text)
        gsub(/&apos;/, "\047", text); gsub(/&amp;/, "\\&", text)
        return text
    }
    function add(list, why) { # list: "skipped" or "left out"; each test once
        if ((list, why, test) in seen) return
        seen[list, why, test] = 1
        if (!((list, why) in count)) { order[++reasons] = list SUBSEP why }
        if (++count[list, why] <= 3) names[list, why] = names[list, why] (count[list, why] > 1 ? ", " : "") test
    }
    /<testcase / {
        test = attribute("name")
        state = attribute("status")
        if (state == "notrun") { skipped++; reasonless[test] = 1 }
        else if (state == "fail") { failed++; ran++ }
        else ran++
    }
    {
        line = $0
        sub(/^.*<system-out>/, "", line)
        sub(/<\/system-out>.*$/, "", line)
        line = plain(line)
        if (state == "notrun" && sub(/^.*skipped: /, "", line)) { add("skipped", line); delete reasonless[test] }
        if (state != "notrun" && sub(/^ *left out: /, "", line)) add("left out", line)
    }
    END {
        printf("%s: %d %s ran, %d skipped, %d failed\n", suite, ran, ran == 1 ? "test" : "tests", skipped, failed)
        for (pass = 1; pass <= 2; pass++)
            for (i = 1; i <= reasons; i++) {
                split(order[i], part, SUBSEP)
                n = count[part[1], part[2]]
                if ((part[1] == "skipped") != (pass == 1)) continue
                printf("  %s: %s: %d %s: %s%s\n", pass == 1 ? "skipped" : "left out of tests that ran", part[2],
                    n, n == 1 ? "test" : "tests", names[part[1], part[2]], n > 3 ? ", ..." : "")
            }
        for (test in reasonless) { printf "  skipped without a reason: %s\n", test; bad = 1 }
        exit bad
    }' "$folder/tests.xml" || status=1
done
exit $status
