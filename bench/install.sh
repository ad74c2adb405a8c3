#!/bin/sh
# Makes the private Python environment of the peers in build/bench-venv, from requirements.txt. Does
# nothing when it is there already. Exit 77 means "skipped": no Python 3 with venv, or pip cannot
# fetch the packages; the reason is printed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-$here/../build/bench-venv}

skip() {
    echo "bench: skipped: $*"
    exit 77
}

cmp -s "$here/requirements.txt" "$venv/requirements.txt" && exit 0
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    skip "needs python3, 3.11 or newer"
mkdir -p "$venv"
log=$venv/install.log
python3 -m venv --clear "$venv" >/dev/null 2>&1 ||
    skip "python3 has no venv module (Debian: apt-get install python3-venv)"
echo "bench: installing the packages of bench/requirements.txt"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" \
    >"$log" 2>&1 || {
    tail -n 3 "$log"
    skip "pip could not fetch the packages; its whole answer is in $log"
}
cp "$here/requirements.txt" "$venv/requirements.txt"
