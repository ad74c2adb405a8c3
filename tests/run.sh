#!/bin/sh
# Runs test suites and adds up what they say: tests/run.sh suite…
# A suite is a command; it prints a line "ok NAME", "FAIL NAME: why" or "skip NAME: why" for each test
# (or TAP, as cmocka does). One that fails without saying so counts as a failure. The last line is
# "N passed, N failed, N skipped".
set -u
export CMOCKA_MESSAGE_OUTPUT=TAP
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for suite; do
    start=$(date +%s)
    # shellcheck disable=SC2086 # a suite may have arguments
    $suite >"$log" 2>&1
    status=$?
    skip=$(grep -cE '^skip |^(not )?ok .*# SKIP' "$log")
    ok=$(grep -E '^ok ' "$log" | grep -vc '# SKIP')
    bad=$(grep -E '^(FAIL|not ok) ' "$log" | grep -vc '# SKIP')
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        echo "FAIL $suite: ended with $status"
        tail -n 40 "$log" | sed 's/^/    /'
    elif [ "$bad" -gt 0 ]; then
        grep -vE '^ok ' "$log" | tail -n 60
    else
        grep -E '^skip |^skipped: |# SKIP' "$log"
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    echo "-- $suite: $ok passed, $bad failed, $skip skipped, $(($(date +%s) - start)) s"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
