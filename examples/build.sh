# shellcheck shell=sh
# Sourced by each example's run.sh: builds tlc, compiles the example's model and sets program to the
# result. What is made lies in $work, build/examples/NAME.
name=$(basename "$(cd "$(dirname "$0")" && pwd)")
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$top/build/examples/$name
program=$work/$name
make -s -C "$top" all
mkdir -p "$work"
"$top/build/tlc" "$top/examples/$name/model.json" -o "$program.c" 2>"$work/log" ||
    { cat "$work/log" >&2; exit 3; }
# shellcheck disable=SC2046 # a list of options
cc -O2 "$program.c" -I"$top/runtime" -L"$top/build" \
    $(PKG_CONFIG_PATH="$top/build" pkg-config --libs tlcrt) -o "$program"

# train DATA [OPTION…]: a folder with train/ and validation/, or one of which a fifth is held back.
train() {
    data=$1
    shift
    [ -d "$data/train" ] || set -- --validation-split 0.2 "$@"
    "$program" train --data "$data" --out "$work/run" "$@"
}
