#!/bin/sh
# A generated program from end to end, on pictures made here: every command, what it leaves on disk,
# its exit codes and messages, the same bits for any number of threads.
# Environment: as suite.sh says.
# shellcheck disable=SC2086,SC2317,SC2016 # lists of options; functions that are called by name
set -u
suite=programs
. "$(dirname "$0")/suite.sh"
export KERAS_HOME="$work/keras" COLUMNS=80

# refused NAME CODE TEXT… -- COMMAND…: it exits with the code, and its messages hold each text.
refused() {
    name=$1 code=$2
    shift 2
    : >texts
    while [ "$1" != -- ]; do
        echo "$1" >>texts
        shift
    done
    shift
    "$@" >out 2>err
    got=$?
    missing=$(while read -r text; do grep -qF -e "$text" err || echo "\"$text\""; done <texts)
    if [ $got -ne "$code" ] || [ -n "$missing" ]; then
        fail "$name" "exit $got, not $code; no $missing in: $(head -n 3 err | tr '\n' ' ')"
    else
        echo "ok programs/$name"
    fi
}

# ---- Programs, pictures --------------------------------------------------------------------------

# compile_all_levels NAME: under sanitizers, too.
compile_all_levels() { (cc="$cc -URT_FILE_LEVELS" && compile "$@"); }

# model NAME UNITS ACTIVATION LOSS: two phases on a small network.
model() {
    cat >"$1.json" <<END
{"name": "$1", "input": {"shape": [32, 32, 3]}, "layers": [
  {"type": "RandomFlip", "mode": "horizontal"},
  {"type": "RandomRotation", "factor": 0.05},
  {"type": "Rescaling", "scale": 0.00392156862745098},
  {"type": "Conv2D", "filters": 24, "kernel_size": 3, "activation": "relu", "name": "conv1"},
  {"type": "MaxPooling2D"},
  {"type": "Conv2D", "filters": 20, "kernel_size": 3, "activation": "relu", "name": "conv2"},
  {"type": "Flatten"}, {"type": "Dropout", "rate": 0.2},
  {"type": "Dense", "units": $2, "activation": "$3", "name": "out"}],
 "phases": [
  {"name": "all", "optimizer": "adam", "loss": "$4", "metrics": ["accuracy"], "epochs": 2,
   "batch_size": 20},
  {"name": "head", "freeze": ["conv*"], "optimizer": "rmsprop", "loss": "$4",
   "metrics": ["accuracy"], "epochs": 2, "batch_size": 20}]}
END
}

hash() { sed -n 's/^ \* Graph \([0-9a-f]*\)\./\1/p' "$1.c"; }

make_corrupt() {
    cp -r data bad
    head -c 200 data/train/0/0000.jpg >bad/train/0/cut.jpg
    echo 'no picture' >bad/train/1/text.png
}

cat >is_json.c <<'END'
#include <cjson/cJSON.h>
#include <stdio.h>
int main(void)
{
    static char text[1 << 20];
    size_t bytes = fread(text, 1, sizeof text - 1, stdin);
    const char *end;
    cJSON *json = cJSON_ParseWithLengthOpts(text, bytes + 1, &end, 1);
    cJSON_Delete(json);
    return !json;
}
END

model small 3 softmax categorical_crossentropy
model pair 1 sigmoid binary_crossentropy
sed 's/"units": 3/"units": 3, "use_bias": false/' small.json >other.json
sed -e 's/"small"/"huge"/' -e 's/32, 32/2048, 2048/' -e 's/_size": 20/_size": 10000/' \
    small.json >huge.json
cat >frozen.json <<'END'
{"name": "frozen", "input": {"shape": [32, 32, 3]}, "layers": [
  {"type": "preprocess_input", "model": "vgg16"},
  {"type": "VGG16", "include_top": false, "last": "block1_pool"},
  {"type": "GlobalAveragePooling2D"}]}
END
ok compile_small compile_all_levels small
ok compile_pair compile pair
ok compile_other compile other
ok compile_huge compile huge
ok compile_frozen compile frozen
ok compile_is_json $cc is_json.c -lcjson -o is_json
ok draw_pictures draw_pictures
ok make_corrupt make_corrupt
mkdir empty one two empty_class
cp -r data/train/0 one/
cp -r data/train/0 data/train/1 two/
cp -r data/train/0 empty_class/
mkdir empty_class/1

# ---- Every command -------------------------------------------------------------------------------

best=run/best.safetensors
ok train ./small train --data data --out run
shows train_results out 'best: run/best.safetensors' 'last: run/last.safetensors'
shows train_progress err '72 pictures of 3 classes for training, 18 for validation' \
    'Epoch 2/2: 4/4' 'val_accuracy'
check train_files 'test -s $best && test -s run/last.safetensors'
shows history run/history.csv 'epoch,accuracy,loss,phase,val_accuracy,val_loss' '3,'
ok evaluate ./small evaluate --data data/validation --weights $best
shows evaluate_counts out 'pictures: 18' 'recall'
check learned 'awk "/^accuracy:/ { exit !(\$2 > 0.6) }" out'
ok evaluate_json ./small evaluate --data data/validation --weights $best --json
check evaluate_is_json './is_json <out'
ok predict ./small predict --weights $best --top 2 data/validation/0/*.jpg
check predict_top 'test "$(grep -c "^  " out)" = 12'
ok predict_json ./small predict --weights $best --json data/validation/*/*.jpg
check predict_is_json './is_json <out'
ok predict_array ./small predict --weights $best -o scores.npy data/validation/0/*.jpg
check array_size 'test "$(wc -c <scores.npy)" = $((128 + 6 * 3 * 4))'
ok features ./small features --weights $best --data data/train -o features.npy
check features_size 'test "$(wc -c <features.npy)" = $((128 + 72 * 3 * 4)) &&
    test "$(wc -l <features.csv)" = 73'
ok summary ./small summary --phase head
shows summary_layers out 'conv2 (Conv2D)' 'Total params: 15,155'
ok bench ./small bench --repeat 1 --layers
shows bench_programs out 'infer' 'train all' 'train head' 'peak memory'
ok version ./small --version
shows version_hash out "graph $(hash small), by tlc"
ok help ./small --help
for command in train check lrfind evaluate predict features summary bench; do
    ok help_$command ./small $command --help
done
ok phase ./small train --data data --phase head --epochs 1 --out phase
ok split ./small train --data data/train --validation-split 0.25 --epochs 1 --out split
shows split_counts err '54 pictures of 3 classes for training, 18 for validation'
ok trace ./small train --data data --no-shuffle --steps 3 --trace trace.npz
mkdir place
ok default_place env -C place ../small train --data ../data --epochs 1 --quiet
ok default_weights env -C place ../small predict ../data/validation/0/0009.jpg
shows default_named err 'weights: runs/small/best.safetensors'
ok train_on ./small train --data data --weights $best --epochs 1 --out more

ok binary_train ./pair train --data two --validation-split 0.2 --out pair_run
ok binary_predict ./pair predict --weights pair_run/last.safetensors two/1/*.jpg

# ---- Wrong command: exit 2 -----------------------------------------------------------------------

refused no_command 2 'no command' -- ./small
refused near_command 2 'unknown command "trian"' 'did you mean train?' -- ./small trian
refused near_option 2 'unknown option --wieghts' 'did you mean --weights?' -- \
    ./small evaluate --data data --wieghts x
refused no_data 2 'train needs --data DIR' -- ./small train
refused no_picture 2 'no picture given' -- ./small predict
refused bad_threads 2 '--threads 0' 'from 1 to 1024' -- ./small train --data data --threads 0
refused bad_phase 2 '--phase haed' 'did you mean head?' -- ./small train --data data --phase haed
refused inference_only 2 'the model has no phases' -- ./frozen train --data data
refused bad_level 2 'TLC_LEVEL' -- env TLC_LEVEL=sse9 ./small bench

# ---- Bad data: exit 4 ----------------------------------------------------------------------------

refused no_folder 4 'nowhere' 'No such file' -- ./small train --data nowhere
refused no_pictures 4 'looked for class folders, found none' -- ./small train --data empty
refused one_class 4 'one class only, "0"' -- ./small train --data one
refused empty_class 4 'empty_class/1' 'holds no .jpg, .jpeg or .png' -- \
    ./small train --data empty_class
refused too_few_classes 4 'the data have 2 classes, the model has 3 outputs' -- \
    ./small train --data two
ok corrupt_skipped ./small train --data bad --epochs 1 --out bad_run
shows corrupt_named err bad/train/0/cut.jpg bad/train/1/text.png '2 pictures could not be read'
refused strict 4 'bad/train/' -- ./small train --data bad --strict --epochs 1 --out strict_run
refused predict_corrupt 4 'cut.jpg' -- ./small predict --weights $best bad/train/0/cut.jpg
cp -r data/validation renamed
mv renamed/2 renamed/two
refused other_classes 4 'class 2 is "two"' 'trained with "2"' -- \
    ./small evaluate --data renamed --weights $best

# ---- Wrong weights: exit 5 -----------------------------------------------------------------------

refused no_weights 5 'runs/small' 'best.safetensors' -- ./small predict data/validation/0/0009.jpg
refused missing_file 5 'nothing.safetensors' -- \
    ./small evaluate --data data/validation --weights nothing.safetensors
refused other_model 5 'saved by another model' "$(hash small)" "$(hash other)" -- \
    ./other evaluate --data data/validation --weights $best
head -c 3000 $best >cut.safetensors
refused cut_file 5 'cut.safetensors' -- ./small evaluate --data data/validation \
    --weights cut.safetensors
cp $best flipped.safetensors
printf '\377' | dd of=flipped.safetensors bs=1 seek=$(($(wc -c <$best) - 9)) conv=notrunc \
    2>/dev/null
refused flipped_bit 5 'flipped.safetensors' 'out/' -- \
    ./small evaluate --data data/validation --weights flipped.safetensors
refused no_imagenet 5 'vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5' 'https://' \
    '6d6bbae143d832006294945121d1f1fc' "$KERAS_HOME/models" -- \
    ./frozen features --data data/train -o f.npy
refused memory 6 'huge needs' 'MiB are available' -- ./huge bench

# ---- The same bits -------------------------------------------------------------------------------

# bits THREADS LEVEL: checksum of the weights after both phases; no features of another training.
bits() {
    TLC_LEVEL=$2 ./small train --data data --out bits --fresh --quiet --threads "$1" --seed 5 \
        --cache memory >out 2>err &&
        cksum <bits/last.safetensors
}

for level in generic avx2 avx512; do
    if ! TLC_LEVEL=$level ./small bench --repeat 1 >out 2>err; then
        echo "skip programs/bits_$level: $(tail -n 1 err)"
        continue
    fi
    first=$(bits 1 $level)
    for threads in 1 2 3 4; do
        again=$(bits $threads $level)
        if [ -n "$first" ] && [ "$again" = "$first" ]; then
            echo "ok programs/bits_${level}_$threads"
        else
            fail "bits_${level}_$threads" "\"$again\", but \"$first\" with one thread"
        fi
    done
done
ok other_seed ./small train --data data --out seed --quiet --seed 6
check other_bits '! cmp -s seed/last.safetensors bits/last.safetensors'

# ---- Allocation ----------------------------------------------------------------------------------

ok noalloc_compiles compile_c small-noalloc -DNO_MAIN -DMODEL=small_model small.c "$root/tests/noalloc.c"
ok noalloc ./small-noalloc
grep -E '^skip ' out

# ---- Signals; what is left -----------------------------------------------------------------------

# Ctrl-C after an epoch: the program stops between steps, keeps its weights and says 130.
interrupt() {
    ./small train --data data --epochs 100000 --out stopped --quiet >out 2>err &
    pid=$!
    for _ in $(seq 100); do
        [ ! -f stopped/last.safetensors ] || break
        sleep 0.1
    done
    kill -TERM $pid
    wait $pid
    code=$?
    [ $code = 143 ] || { echo "exit $code" >&2 && return 1; }
}
ok signal interrupt
ok after_signal ./small evaluate --data data/validation --weights stopped/last.safetensors
check no_temporary_files 'test -z "$(find . -name "*.tmp*")"'
exit $failed
