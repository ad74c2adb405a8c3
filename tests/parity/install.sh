#!/bin/sh
# Makes the private Python environment of the parity tests in build/parity-venv: Keras on
# TensorFlow, and TensorBoard, at fixed versions, for the CPU. Does nothing when it is there already,
# and adds to it what it lacks. Exit 77 means "skipped": no Python 3 with venv, or pip cannot fetch
# the packages; the reason is printed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-$here/../../build/parity-venv}
packages="keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6 h5py==3.14.0 pillow==12.3.0"
packages="$packages tensorboard==2.21.0"

skip() {
    echo "parity: skipped: $*"
    exit 77
}

if [ -f "$venv/packages" ] && [ "$(cat "$venv/packages")" = "$packages" ]; then
    exit 0
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    skip "needs python3, 3.11 or newer"
mkdir -p "$venv"
log=$venv/install.log
"$venv/bin/pip" --version >/dev/null 2>&1 || python3 -m venv --clear "$venv" >/dev/null 2>&1 ||
    skip "python3 has no venv module (Debian: apt-get install python3-venv)"
echo "parity: installing $packages (about 1.6 GB, if nothing of them is there)"
# shellcheck disable=SC2086 # a list of words
"$venv/bin/pip" install --quiet --disable-pip-version-check $packages >"$log" 2>&1 || {
    tail -n 3 "$log"
    skip "pip could not fetch the packages; its whole answer is in $log"
}
echo "$packages" >"$venv/packages"
