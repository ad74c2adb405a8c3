#!/bin/sh
# Describes each picture of a folder by 4096 numbers: examples/features_fc2/run.sh FOLDER [OPTION…]
set -eu
[ $# -gt 0 ] || { echo "usage: $0 FOLDER [OPTION…]" >&2; exit 2; }
. "$(dirname "$0")/../build.sh"
folder=$1
shift
"$program" features --data "$folder" -o "$work/features.npy" "$@"
