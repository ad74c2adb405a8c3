#!/bin/sh
# Choices among algorithms: that the file and the plan tell them, tables of measured choices, `tlc tune`
# on a small model, and that direct sums and Winograd's train alike.
# Environment: as suite.sh says.
# shellcheck disable=SC2086,SC2317,SC2016 # lists of options; functions and text for eval
set -u
suite=tuned
. "$(dirname "$0")/suite.sh"
tlc=$build/tlc

cat >tiny.json <<'END'
{"name": "tiny", "input": {"shape": [13, 18, 3]}, "layers": [
  {"type": "Conv2D", "filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"},
  {"type": "Conv2D", "filters": 48, "kernel_size": 3, "padding": "same", "activation": "relu",
   "name": "wide"},
  {"type": "MaxPooling2D"},
  {"type": "Conv2D", "filters": 32, "kernel_size": 3, "activation": "relu"},
  {"type": "Flatten"}, {"type": "Dense", "units": 3, "activation": "softmax"}],
 "phases": [{"name": "all", "optimizer": {"type": "SGD", "learning_rate": 0.001}, "epochs": 1,
   "loss": "categorical_crossentropy", "batch_size": 4}]}
END
keys="conv2d_3x3_13x18_16_48 conv2d_3x3_13x18_48_16 conv2d_dw_3x3_13x18_16_48 conv2d_3x3_4x7_48_32
    conv2d_3x3_6x9_32_48 conv2d_dw_3x3_4x7_48_32"

# table MODEL ROW KEY…: all convolutions alike.
table() {
    printf '{"model": "%s", "precision": "highest", "cpu": "8086 */ #\\\\", "level": "generic",\n' "$1"
    printf ' "threads": 1, "batch": 1, "convolutions": {'
    row=$2 comma=
    shift 2
    for key; do
        printf '%s\n  "%s": {%s, "ms": 1.5, "other_ms": 2.25}' "$comma" $key "$row"
        comma=,
    done
    printf '}}\n'
}
table tiny '"algorithm": "direct"' $keys >direct.json
table tiny '"algorithm": "winograd"' $keys >winograd.json
table tiny '"algorithm": "winograd", "tiles": 5, "groups": 1' $keys >small.json
table tiny '"algorithm": "winograd", "tiles": 256, "groups": 64' $keys >large.json
table other '"algorithm": "direct"' $keys conv2d_3x3_1x1_16_16 conv2d_3x3_2x2_16_16 >other.json

# ---- What is told --------------------------------------------------------------------------------

"$tlc" tiny.json -o tiny.c 2>err
for name in direct winograd small large other; do
    check $name/compiles '"$tlc" tiny.json --tuned $name.json -o $name.c 2>$name.err'
    check $name/same_bytes '"$tlc" tiny.json --tuned $name.json -o - 2>/dev/null | cmp - $name.c'
done
check comment_of_model 'grep "^ \* Winograd F(4x4, 3x3), .* tiles a block, .* by the cost model\. \*/$" tiny.c'
check comment_of_few 'grep "^ \* direct: Winograd wants windows of 3x3" tiny.c'
check comment_of_table \
    'grep -F " * direct, by tuning on 8086 _/ __: 1.5 ms against 2.25 ms by Winograd. */" direct.c'
check direct_only '! grep "KERNEL(winograd" direct.c && ! grep "^KERNEL(conv2d_dw_3x3_13x18_16" winograd.c'
check other_algorithm_same_graph 'test "$(grep Graph direct.c)" = "$(grep Graph winograd.c)"'
check plan 'test $("$tlc" plan tiny.json --tuned direct.json | grep -c "^  .*wide.*direct, by tuning") = 2'
check note_of_cpu 'grep "^direct.json: warning: measured on 8086 _/ __, this is" direct.err'
check no_note_of_model '! grep "on model" direct.err'
check note_of_model 'grep "^other.json: warning: measured on model \"other\", not \"tiny\"" other.err'
check note_of_unknown 'grep "no convolution \"conv2d_3x3_1x1_16_16\", nor 1 others" other.err'
check note_of_precision \
    '"$tlc" plan tiny.json --tuned direct.json --precision medium 2>&1 | grep "precision highest, not medium"'

# ---- Direct sums and Winograd's --------------------------------------------------------------------

check pictures 'draw_pictures 30'

# numbers NAME: the outputs after three steps of training.
numbers() {
    compile_c $1 $1.c &&
        ./$1 train --data data/train --steps 3 --quiet --fresh --out $1.run &&
        ./$1 features --weights $1.run/last.safetensors --data data/train -o $1.npy &&
        od -An -v -j128 -tf4 -w4 $1.npy >$1.txt
}

alike() { # NAME OTHER
    paste $1.txt $2.txt | awk '{ d = $1 - $2; if (d * d > 1e-8) bad++ } END { exit bad || NR < 30 }'
}
for name in direct winograd small large; do check $name/runs "numbers $name"; done
for name in winograd small large; do check $name/as_direct "alike direct $name"; done
check bits_differ '! cmp direct.npy winograd.npy'

# ---- tlc tune --------------------------------------------------------------------------------------

sed -e "s|^includedir=.*|includedir=$root/runtime|" -e "s|^libdir=.*|libdir=$build|" \
    "$build/tlcrt.pc" >tlcrt.pc
export PKG_CONFIG_PATH="$work" CFLAGS="${TEST_CFLAGS:--O0}" TMPDIR="$work/temporary"
mkdir temporary
is_clean() { test -z "$(ls temporary)"; }
check tune '"$tlc" tune tiny.json >tune.out 2>tune.err'
check tune_is_clean is_clean
for key in $keys; do
    check tune/$key "grep '\"$key\": {\"algorithm\": \"[a-z]*\"' tiny.tuned.json && grep '^$key ' tune.out"
done
check tune_is_read '"$tlc" tiny.json --tuned tiny.tuned.json -o tuned.c 2>err && ! grep warning err'
check tune_says_so 'grep "by tuning on" tuned.c'
check no_runtime '! PKG_CONFIG_PATH=/ PKG_CONFIG_LIBDIR=/ "$tlc" tune tiny.json -o no.json 2>err &&
    grep "hint: install tlc, or set PKG_CONFIG_PATH" err && is_clean && ! test -e no.json'
CC=false "$tlc" tune tiny.json -o no.json 2>err
check no_compiler "test $? = 1 && grep 'the C compiler failed' err && is_clean && ! test -e no.json"

# A signal while a compiler runs: nothing is left, no process either.
printf '#!/bin/sh\necho $$ >"%s"\nsleep 600\n' "$work/compiling" >slow
chmod +x slow
stop() {
    CC="$work/slow" "$tlc" tune tiny.json -o no.json 2>err &
    pid=$!
    for _ in $(seq 100); do
        [ ! -s compiling ] || break
        sleep 0.1
    done
    kill -TERM $pid
    wait $pid
    test $? = 143
}
check signal stop
# gone PID: it has ended, whether or not anyone has asked for its status.
gone() {
    for _ in $(seq 50); do
        case $(sed -n 's/^State:[^A-Z]*//p' "/proc/$1/status" 2>/dev/null) in '' | Z* | X*) return 0 ;; esac
        sleep 0.1
    done
    return 1
}
check signal_is_clean 'is_clean && gone "$(cat compiling)"'
exit $failed
