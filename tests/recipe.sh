#!/bin/sh
# What a phase may ask of its training, end to end: accumulated gradients against the large batch,
# rates by layer, clipped norms and class weights with the same bits for any number of threads,
# balanced sampling, metrics in history, bar and evaluation.
# Environment: as suite.sh says.
# shellcheck disable=SC2086 # lists of options
set -u
suite=recipe
. "$(dirname "$0")/suite.sh"
export TLC_POISON=1 ASAN_OPTIONS=detect_leaks=0

# Each phase trains the same network; only what it asks for differs.
phase() { # NAME BATCH OPTIMIZER FURTHER
    echo "{\"name\": \"$1\", \"loss\": \"categorical_crossentropy\", \"batch_size\": $2, \"epochs\": 2,
          \"optimizer\": {\"type\": $3}${4:-}}"
}
cat >model.json <<END
{"name": "model", "input": {"shape": [6, 6, 3]}, "layers": [
  {"type": "Conv2D", "filters": 20, "kernel_size": 3, "activation": "tanh", "name": "conv"},
  {"type": "Flatten"},
  {"type": "Dense", "units": 70, "activation": "tanh", "name": "fc"},
  {"type": "Dense", "units": 3, "activation": "softmax", "name": "out"}],
 "phases": [
  $(phase large 12 '"Adam", "learning_rate": 0.01, "epsilon": 0.001'),
  $(phase small 4 '"Adam", "learning_rate": 0.01, "epsilon": 0.001, "gradient_accumulation_steps": 3'),
  $(phase large_norm 12 '"SGD", "learning_rate": 0.1, "global_clipnorm": 0.2'),
  $(phase small_norm 4 '"SGD", "learning_rate": 0.1, "global_clipnorm": 0.2, "gradient_accumulation_steps": 3'),
  $(phase slow 12 '"SGD", "learning_rate": 0.01'),
  $(phase factor 12 '"SGD", "learning_rate": 0.1' ', "learning_rate_multipliers": {"*": 0.1}'),
  $(phase norm 12 '"RMSprop", "clipnorm": 0.1' ', "class_weight": "balanced"'),
  $(phase balanced 4 '"SGD"' ', "sampling": "balanced", "class_weight": {"1": 2},
    "metrics": ["accuracy", {"type": "AUC"}, {"type": "Precision"}, {"type": "Precision"},
                {"type": "TopKCategoricalAccuracy", "k": 2, "name": "top2"}]')]}
END
cat >data.c <<'END'
#include "arrays.h"
int main(void)
{
    enum { N = 24, PIXELS = 108 };
    static float x[N * PIXELS], y[N * 3];
    const RtRun run = {.seed = 3};
    uint32_t words[4];
    for (int i = 0; i < N * PIXELS; i++) {
        rt_random4(&run, 1, 0, (uint32_t)i, words);
        x[i] = (float)(2 * rt_unit(words[0]) - 1);
    }
    for (int i = 0; i < N; i++) y[3 * i + (i % 8 == 0 ? 2 : i % 3 == 0)] = 1;
    RtArray arrays[] = {{.name = "x", .type = RT_F32, .rank = 4, .dims = {N, 6, 6, 3}, .data = x},
                        {.name = "y", .type = RT_F32, .rank = 2, .dims = {N, 3}, .data = y}};
    rt_npz_write("data.npz", arrays, 2);
    return 0;
}
END
ok compile compile model
ok near compile_c near "$root/tests/near.c"
ok data compile_c data data.c
ok arrays ./data

# train PHASE TRACE OPTIONS…
train() {
    each=$1 trace=$2
    shift 2
    ok "$trace" ./model train --data data.npz --phase "$each" --trace "$trace.npz" --quiet "$@"
}

# The same numbers as the large batch: only the order of adding up differs. Adam would make more of
# that where gradients are small, but for its epsilon.
for kind in "" _norm; do
    train large$kind large$kind --no-shuffle
    train small$kind small$kind --no-shuffle
    ok "accumulated$kind" ./near small$kind.npz large$kind.npz 3e-6 conv/ fc/ out/
done

train slow slow --no-shuffle
train factor factor --no-shuffle
ok multipliers ./near factor.npz slow.npz 1e-6 loss conv/ fc/ out/

for each in large_norm small_norm norm balanced; do
    for threads in 1 2 3 4; do
        train $each $each.$threads --threads $threads
        [ $threads = 1 ] || ok "$each.bits.$threads" cmp $each.1.npz $each.$threads.npz
    done
done

# Broken off within the second epoch, a training goes on to the same bits: the sums of its metrics,
# accumulated gradients, what is drawn.
for each in small_norm balanced; do
    go() { ok "$1" ./model train --data data.npz --validation data.npz --phase $each --out "$@" --quiet; }
    go $each.whole
    go $each.part --steps 8
    go $each.part
    ok "$each.resumed" cmp $each.whole/last.safetensors $each.part/last.safetensors
    ok "$each.history" cmp $each.whole/history.csv $each.part/history.csv
done

# Eight pictures of each class are as many as there are: six steps of four.
ok history ./model train --data data.npz --validation data.npz --phase balanced --out run
cp err bar
ok bar grep -qF 'Epoch 1/2: 6/6 - ' bar
ok columns grep -q '^epoch,accuracy,auc,loss,phase,precision,precision_1,top2,val_accuracy,val_auc,val_loss,val_precision,val_precision_1,val_top2' run/history.csv
ok evaluate ./model evaluate --data data.npz --phase balanced --weights run/last.safetensors --json
cp out evaluation
ok printed grep -qF '"auc": ' evaluation
exit $failed
