#!/bin/sh
# What tlc emits: the same bytes each time, clean under both compilers, quick to compile, with the
# names and headers it may have; the plans and the memory that a program really takes.
# Environment: as suite.sh says. TEST_CFLAGS with sanitizers leaves out what they would change:
# times, sizes, and the compilers' warnings, which the plain run has seen.
# shellcheck disable=SC2086,SC2317,SC2016 # lists of options; functions and text for eval
set -u
suite=emitted
. "$(dirname "$0")/suite.sh"
cd "$root" || exit 1
tlc=$build/tlc
strict="-std=gnu11 -O2 -Wall -Wextra -Werror -I$root/runtime"

is_plain() { case ${TEST_CFLAGS:-} in *sanitize*) false ;; esac; }

# ---- Each file -----------------------------------------------------------------------------------

# emit NAME MODEL [OPTION]: twice, from another folder the second time.
emit() {
    check "$1/compiles" "$tlc $2 ${3:-} -o $work/$1.c &&
        (cd / && $tlc $2 ${3:-} -o - 2>/dev/null) >$work/again"
    check "$1/same_bytes" "cmp $work/$1.c $work/again"
    check "$1/includes" "! grep '^#include' $work/$1.c |
        grep -vE '^#include (\"rt.h\"|<math.h>|<string.h>|THIS_FILE)\$'"
}

# compile_twice NAME: with both compilers.
compile_twice() {
    for cc in gcc clang-14; do
        command -v $cc >/dev/null || { echo "skip emitted/$1/$cc: not installed" && continue; }
        check "$1/$cc" "$work/measure $work/$1.$cc $cc $strict -c $work/$1.c -o $work/$1.$cc.o"
    done
    model=$(sed -n 's/^const RtModel \([a-zA-Z0-9_]*\)_model = {/\1/p' "$work/$1.c")
    exported=$(nm -g --defined-only "$work/$1.gcc.o" | awk '$3 != "main" { print $3 }' | xargs)
    check "$1/exports" "test '$exported' = '${model}_model'"
}

# check_cost NAME: what compiling took.
check_cost() {
    for cc in gcc clang-14; do
        [ -f "$work/$1.$cc" ] || continue
        read -r seconds size <"$work/$1.$cc"
        echo "$1.c compiled by $cc: $seconds s of CPU time, $size MiB"
        check "$1/${cc}_cost" "awk '{ exit !(\$1 <= 10 && \$2 <= 300) }' $work/$1.$cc"
    done
}

golden="cnn gray_32x40 l2_regularizers augmentation_off"
gcc -O2 "$root/tests/measure.c" -o "$work/measure" || exit 1
for model in examples/*/model.json; do
    emit "$(basename "$(dirname "$model")")" "$root/$model"
done
for name in $golden; do
    [ -f tests/golden/cases/$name.json ] || continue
    emit "$name" "$root/tests/golden/cases/$name.json"
done
for precision in high medium; do
    emit cnn_$precision "$root/tests/golden/cases/cnn.json" --precision=$precision
    check cnn_$precision/has_tiles "grep -q '^#define LEVEL 4' $work/cnn_$precision.c"
done
check cnn/has_no_tiles "! grep '^#define LEVEL 4' $work/cnn.c"
if is_plain; then
    for file in "$work"/*.c; do compile_twice "$(basename "$file" .c)"; done
    check_cost classify
else
    echo "skip emitted/compilers: sanitizers"
fi

# ---- Two models in one program -------------------------------------------------------------------

cat >"$work/both.c" <<'END'
#include <stdio.h>

#include "rt.h"

extern const RtModel pets_model, cnn_model;
int main(void) { return printf("%s %s\n", pets_model.name, cnn_model.name) < 0; }
END
check both_link "${CC:-cc} -std=gnu11 ${TEST_CFLAGS:-} -I$root/runtime -DNO_MAIN \
    $work/pets.c $work/cnn.c $work/both.c $build/libtlcrt.a $libs -o $work/both && $work/both"

# ---- What a frozen part is, and what is not there ------------------------------------------------

body() { sed -n "/^static [a-z]* $1(/,/^}/p" "$work/pets.c"; }
check frozen_is_whole 'body frozen_head | grep -q block5_conv3'
check frozen_has_no_gradient \
    '! body frozen_head | grep -E "\b(d_|dense_d)|_(d|dw|dx|grad)_|slot_"'
kept_step() { body above_train_head && body forward_head && body backward_head && body prepare_above_train_head; }
check step_is_cut "body above_train_head | grep -q forward_head && body train_head | grep -q below_train_head"
check kept_step_has_no_base '! kept_step | grep -E "block[1-5]|conv2d|winograd|pool|gemm"'
check kept_step_trains 'kept_step | grep -q slot_head_fc_kernel_velocity'
check kept_features_have_no_gradient '! body below_train_head | grep -E "d_|slot_|update"'
check official_layers_once "test $(grep -c '^    \"predictions\",' "$work/pets.c") = 1"
check augmented_features_are_random "grep -A 12 '^static const RtCut cut_train_head' $work/pets.c | grep -q 'random = 1'"
check validation_features_are_not "grep -A 12 '^static const RtCut cut_evaluate_head' $work/pets.c | grep -q 'random = 0'"
check backward_ends_at_the_boundary '! body backward_head | grep -E "conv2d|pool|block"'
check backward_updates 'body backward_head | grep -q slot_head_fc_kernel_velocity'
check fine_tune_trains_block5 'body backward_fine_tune | grep -q slot_fine_tune_block5_conv1_kernel'
check fine_tune_leaves_block4 '! body backward_fine_tune | grep block4_conv3_kernel'

# ---- Plans ---------------------------------------------------------------------------------------

ratios_are_one() {
    "$tlc" plan "$1" | sed -n 's/.*ratio //p' >"$work/ratios"
    test -s "$work/ratios" && ! grep -vx 1.00 "$work/ratios"
}

for name in pets classify new_conv digits; do
    check "$name/ratio" "ratios_are_one examples/$name/model.json"
done
sed -e 's/180, 180/224, 224/' -e '/Random/d' examples/pets/model.json >"$work/block5.json"
check block5/ratio "ratios_are_one $work/block5.json"
"$tlc" plan "$work/block5.json" | grep -A 2 '^phase fine_tune' | grep activations >"$work/block5"
"$tlc" plan "$work/block5.json" >"$work/plan"
check cache_is_planned "grep -qE 'feature cache, training .* a picture of flatten save 15.* pays from epoch 2' $work/plan"
"$tlc" plan examples/pets/model.json >"$work/plan"
check augmentation_is_planned "grep -q 'feature cache, training .*none: random layers draw anew' $work/plan &&
    grep -q 'feature cache, validation .*pays from epoch 2' $work/plan"
check pictures_are_planned "grep -q 'kept pictures, training  *379.7 KiB a picture' $work/plan &&
    ! grep -q 'kept pictures, validation' $work/plan"
sed "s/\"freeze\": \[[^]]*\],//" examples/digits/model.json >"$work/free.json"
check nothing_is_planned "$tlc plan $work/free.json | grep -q 'feature cache, training .*none: nothing is multiplied'"
echo "VGG16 224x224, batch 32, block 5 and head:$(sed 's/  */ /g' "$work/block5")"
check block5/memory "awk '{ exit !(\$4 <= 115 && \$5 == \"MiB\") }' $work/block5"

"$tlc" examples/pets/model.json -o "$work/large.c" --max-memory 430MiB 2>"$work/refusal"
check refused "test $? = 6 && ! test -e $work/large.c"
fits=$(sed -n 's/.*"batch_size": \([0-9]*\) fits.*/\1/p' "$work/refusal")
# with_batch N: does a batch of N fit?
with_batch() {
    sed "s/\"batch_size\": 32/\"batch_size\": $1/" examples/pets/model.json >"$work/batch.json"
    "$tlc" plan "$work/batch.json" --max-memory 430MiB
}
check largest_batch "with_batch ${fits:-0} && ! with_batch $((${fits:-0} + 1))"

# ---- Precision -----------------------------------------------------------------------------------

# with_precision P: what the header says.
with_precision() { "$tlc" examples/digits/model.json -o - --precision $1 2>"$work/log" | head -n 4; }
check precision 'with_precision medium | grep "; precision medium.$"'
check precision_default 'test "$(with_precision highest)" = "$(head -n 4 $work/digits.c)"'
check precision_not_in_hash 'test "$(with_precision high | grep Graph)" = "$(grep Graph $work/digits.c)"'
"$tlc" plan examples/digits/model.json --precision low 2>"$work/refusal"
check precision_unknown "test $? = 2 && grep 'write highest, high or medium' $work/refusal"

# ---- Peak memory of a training run, beside what the plan says ------------------------------------

# Real memory: VGG16 from initial values, a few small steps on made-up pictures.
measure_training() {
    sed -e 's/64, 64, 3/96, 96, 3/' -e 's/"imagenet"/null/' -e 's/: 32}/: 8}/' \
        -e 's/"freeze": \["vgg16"\], //' examples/digits/model.json >"$work/run.json"
    "$tlc" "$work/run.json" -o "$work/run.c" 2>"$work/log" || return
    gcc $strict "$work/run.c" "$build/libtlcrt.a" $libs -o "$work/run" || return
    gcc $strict tools/digits.c -ljpeg -o "$work/digits" || return
    awk 'BEGIN {
        for (n = 0; n < 50; n++) { # 4 of every 5 are for training
            for (i = 0; i < 64; i++) printf "%d,", i * n % 17
            print int(n / 5)
        }
    }' | "$work/digits" "$work/data" || return
    "$work/measure" "$work/peak" "$work/run" train --data "$work/data/train" --steps 2 \
        --fresh --out "$work/out"
}

if is_plain; then
    check short_training measure_training
    planned=$("$tlc" plan "$work/run.json" |
        awk -v threads="$(nproc)" '/^arena|^program and libraries/ { sum += $(NF - 1) }
            /^scratch of each thread/ { sum += threads * ($NF == "MiB" ? $(NF - 1) : 0) }
            END { print sum }')
    peak=$(cut -d ' ' -f 2 "$work/peak")
    echo "Peak memory of a training run: $peak MiB; planned: $planned MiB"
    check peak_memory "awk 'BEGIN { r = $peak / $planned; exit !(r > 0.95 && r < 1.05) }'"
else
    echo "skip emitted/peak_memory: sanitizers"
fi
exit $failed
