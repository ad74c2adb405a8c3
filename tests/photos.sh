#!/bin/sh
# A head trained on photographs says the same of each of them at every precision and level.
# TLC_DATA: a folder with pets/train and pets/validation and VGG16's weights without its top.
# Environment: BUILD, CC, RT_LIBS, as for tests/golden/run.
# shellcheck disable=SC2046,SC2086 # lists of files and options
set -u
data=${TLC_DATA:-}/pets
weights=${TLC_DATA:-}/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5
if [ ! -d "$data/train" ] || [ ! -f "$weights" ]; then
    echo "skip photos/top_1: TLC_DATA names no folder with pets/ and VGG16's weights"
    exit 0
fi
build=${BUILD:-build}
work=$build/photos
rm -rf "$work"
mkdir -p "$work"
for precision in highest high medium; do
    "$build/tlc" examples/cached_head/model.json --precision $precision -o "$work/$precision.c" \
        2>"$work/log" &&
        ${CC:-cc} -std=gnu11 ${TEST_CFLAGS:--O2} -Iruntime "$work/$precision.c" \
            "$build/libtlcrt.a" $RT_LIBS -o "$work/$precision" || { cat "$work/log"; exit 1; }
done
"$work/highest" train --data "$data" --weights "$weights" --epochs 3 --quiet --out "$work/run" \
    >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
failed=0
for precision in highest high medium; do
    for level in avx2 avx512; do
        out=$work/$precision.$level
        if ! TLC_LEVEL=$level "$work/$precision" predict --top 1 \
            --weights "$work/run/best.safetensors" $(find "$data" -name '*.jpg' | sort) \
            >"$out" 2>"$work/log"; then
            echo "skip photos/$precision/$level: $(head -n 1 "$work/log")"
            continue
        fi
        awk '/^  /{ print $1 }' "$out" >"$out.top"
        if [ "$(wc -l <"$out.top")" -ge 300 ] && cmp "$work/highest.avx2.top" "$out.top"; then
            echo "ok photos/$precision/$level"
        else
            echo "FAIL photos/$precision/$level: not the same classes" && failed=1
        fi
    done
done
exit $failed
