#!/bin/sh
# Names what pictures show: examples/classify/run.sh [OPTION…] PICTURE…
set -eu
[ $# -gt 0 ] || { echo "usage: $0 [OPTION…] PICTURE…" >&2; exit 2; }
. "$(dirname "$0")/../build.sh"
"$program" predict "$@"
