#!/bin/sh
# Trains on a folder of pictures; further options go to `train`: examples/cached_head/run.sh DATA [OPTION…]
set -eu
[ $# -gt 0 ] || { echo "usage: $0 DATA [OPTION…]" >&2; exit 2; }
. "$(dirname "$0")/../build.sh"
train "$@"
