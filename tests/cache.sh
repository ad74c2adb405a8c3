#!/bin/sh
# The feature cache: the same bits with it as without, on any number of threads; nothing computed
# twice; no stale feature whatever changes.
# Environment: as suite.sh says.
# shellcheck disable=SC2086,SC2317,SC2016,SC2015,SC2034 # lists of options; functions that are called by name
set -u
suite=cache
. "$(dirname "$0")/suite.sh"
export COLUMNS=80 TLC_CACHE="$work/kept"

# ---- Programs, pictures --------------------------------------------------------------------------

# model NAME FRONT: a convolution trains on one that does not; a random layer stands between them.
model() {
    cat >"$1.json" <<END
{"name": "$1", "input": {"shape": [32, 32, 3]}, "layers": [
  $2{"type": "Rescaling", "scale": 0.00392156862745098},
  {"type": "Conv2D", "filters": 24, "kernel_size": 3, "activation": "relu", "name": "conv1"},
  {"type": "MaxPooling2D"},
  {"type": "Conv2D", "filters": 20, "kernel_size": 3, "activation": "relu", "name": "conv2"},
  {"type": "Dropout", "rate": 0.3},
  {"type": "Conv2D", "filters": 8, "kernel_size": 3, "padding": "same", "name": "top"},
  {"type": "Flatten"}, {"type": "Dense", "units": 3, "activation": "softmax", "name": "out"}],
 "phases": [
  {"name": "head", "freeze": ["conv*"], "optimizer": "adam", "loss": "categorical_crossentropy",
   "metrics": ["accuracy"], "epochs": 3, "batch_size": 20},
  {"name": "tune", "freeze": ["conv1"], "optimizer": "sgd", "loss": "categorical_crossentropy",
   "epochs": 2, "batch_size": 7}]}
END
}

# Programs of one level compile in half the time; plain, and those whose features are compared with its,
# have all.
one=-DRT_FILE_LEVELS=2
case $cc in *RT_FILE_LEVELS*) one= ;; esac

# build NAME: NAME.json to a program, under sanitizers too.
build() {
    levels=$one
    ! grep -q '"plain"' "$1.json" || levels=-URT_FILE_LEVELS
    "$build/tlc" "$1.json" -o "$1.c" 2>log && compile_c "$1" $levels "$1.c" 2>>log ||
        fail "build_$1" "$(head -n 3 log)"
}

cat >arrays.c <<'END'
#include "arrays.h"
int main(void)
{
    static uint8_t x[40][32][32][3];
    static float y[40][3];
    uint8_t *pixels = &x[0][0][0][0];
    unsigned seed = 1;
    for (size_t i = 0; i < sizeof x; i++)
        pixels[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 20);
    for (int i = 0; i < 40; i++) y[i][i % 3] = 1;
    static char names[2][2] = {"x", "y"};
    RtArray arrays[] = {
        {.name = names[0], .type = RT_U8, .rank = 4, .dims = {40, 32, 32, 3}, .data = x},
        {.name = names[1], .type = RT_F32, .rank = 2, .dims = {40, 3}, .data = y}};
    rt_npz_write("arrays.npz", arrays, 2);
    pixels[12345] ^= 1;
    rt_npz_write("changed.npz", arrays, 2);
    return 0;
}
END
flips='{"type": "RandomFlip"}, {"type": "RandomRotation", "factor": 0.1},'
model plain ''
model flips "$flips"
sed 's/"epochs": 3/"epochs": 5, "augment_variants": 2/' flips.json >variants.json
sed 's/"epochs": 3/"epochs": 3, "cache_type": "float16"/' plain.json >half.json
sed -e 's/{"type": "Conv2D", "filters": 8.*/{"type": "Flatten"},/' \
    -e 's/{"type": "Flatten"}, {"type": "Dense", "units": 3/{"type": "Dense", "units": 3/' \
    -e s/plain/deep/ -e 's/{"type": "Dropout", "rate": 0.3},//' -e 's/"conv\*"/"conv*", "fc"/' plain.json |
    sed 's/{"type": "Flatten"},/&{"type": "Dense", "units": 333, "activation": "relu", "name": "fc"},/' \
        >deep.json
for name in plain flips variants half deep; do build $name; done
draw_pictures 60 || fail pictures "digits"
compile_c arrays arrays.c && ./arrays || fail arrays "npz"

# train PROGRAM MODE [OPTION…]: leaves `out`, `err`, and in $bits the checksum of all weights and of
# the history, in which validation shows.
train() {
    program=$1 mode=$2
    shift 2
    rm -rf run
    bits=$(./$program train --data data --seed 3 --out run "$@" --cache $mode >out 2>err &&
        cat run/last.safetensors run/history.csv | cksum)
    [ -n "$bits" ] || fail "$program $mode $*" "$(tail -n 2 err)"
}

# computed: how many batches of features were computed, by side: "training 3 validation 2".
computed() {
    sed -n 's/^Features, \([a-z]*\)[^:]*: \([0-9]*\)\/.*/\1 \2/p' err | xargs
}

# same NAME PROGRAM [OPTION…]: the disk gives what no cache gives; $got tells what was computed.
same() {
    name=$1 program=$2
    shift 2
    train $program off "$@"
    without=$bits
    train $program disk "$@"
    got=$(computed)
    check "$name" 'test -n "$bits" && test "$bits" = "$without"'
}

# ---- The same bits -------------------------------------------------------------------------------

train plain off --threads 1
plain=$bits
check off_computes_none 'test -z "$(computed)"'
case ${TEST_CFLAGS:-} in *sanitize*) counts="1 4" ;; *) counts="1 2 3 4" ;; esac
for threads in $counts; do
    for mode in off memory disk; do
        train plain $mode --threads $threads
        check plain_${mode}_$threads 'test -n "$bits" && test "$bits" = "$plain"'
    done
done
train plain memory
check memory_computes_once 'test "$(computed)" = "training 3 validation 2 training 7 validation 2"'
check memory_is_said 'grep -q "Features of 48 training pictures below conv2 are kept in memory" err'
train plain auto
check auto_does_not_pay 'test -z "$(computed)"'
train deep auto
check auto_pays 'test "$(computed)" = "training 3 validation 2" && grep -q "below fc are kept in memory and in $TLC_CACHE:" err'
deep=$bits
train deep auto
check auto_keeps_for_the_next_run 'test -z "$(computed)" && test "$bits" = "$deep"'
train deep auto --epochs 1
check one_epoch_does_not_pay 'test -z "$(computed)"'
leaves_no_file() {
    export TLC_CACHE="$work/none"
    ./deep train --data data --trace trace.npz --cache auto 2>err && grep -q "are kept in memory:" err &&
        ./deep train --data data --steps 2 --cache auto && ./deep lrfind --data data --steps 9 &&
        ./deep train --data data --dry-run && { ./deep train --data data --overfit-batch || true; } &&
        test ! -e none && test ! -e runs
    code=$?
    export TLC_CACHE="$work/kept"
    return $code
}
check trials_leave_no_file leaves_no_file
train plain disk
check disk_computes_nothing_again 'test -z "$(computed)"'
check disk_is_said 'grep -q "are kept in $TLC_CACHE" err'
rm -rf kept
train plain disk
check disk_computes_once 'test "$(computed)" = "training 3 validation 2 training 7 validation 2"'
train plain memory --phase tune
tune=$bits
train plain off --phase tune
check one_phase 'test -n "$bits" && test "$bits" = "$tune"'
same poison plain --seed 4
without=$bits
TLC_POISON=1 train plain memory --seed 4
check poisoned_memory 'test "$bits" = "$without"'
same no_shuffle plain --no-shuffle
same frozen_dense deep
same arrays plain --data arrays.npz --validation-split 0.2
check arrays_are_kept 'test "$got" = "training 2 validation 1 training 5 validation 1"'

# ---- What changes --------------------------------------------------------------------------------

# A copy of the program's model in which something is another, by sed.
changed() { sed "$2" plain.json >$1.json && build $1; }

cp -r data fresh
same same_pictures_elsewhere plain --data fresh
check elsewhere_computes_nothing 'test -z "$got"'
for n in 1 2 3; do
    (cat data/train/0/0000.jpg && echo $n) >fresh/train/0/new$n.jpg
done
same added_pictures plain --data fresh
check added_are_computed 'test "$got" = "training 1 training 1"'
cp -p fresh/train/0/new1.jpg stamp
cp data/train/1/0001.jpg fresh/train/0/new1.jpg
touch -r stamp fresh/train/0/new1.jpg
same a_known_picture plain --data fresh
check known_is_not_computed 'test -z "$got"'
(head -c 2 data/train/1/0001.jpg && printf '\377\376\000\005new' &&
    tail -c +3 data/train/2/0002.jpg) >fresh/train/0/new1.jpg
touch -r stamp fresh/train/0/new1.jpg
same a_changed_picture plain --data fresh
check changed_is_computed 'test "$got" = "training 1 training 1"'
echo nothing >fresh/train/0/new2.jpg
same a_picture_that_broke plain --data fresh
same arrays_changed plain --data changed.npz --validation-split 0.2
check changed_row_is_computed 'test "$got" = "training 1 training 1" ||
    test "$got" = "validation 1 validation 1"'
train plain off --epochs 1
cp run/last.safetensors others.safetensors
same other_weights plain --weights others.safetensors
check other_weights_are_seen 'case $got in "training 3 "*) ;; *) false ;; esac'
changed scale 's/0.0039[0-9]*/0.0078125/'
same other_preprocessing scale
changed act '/conv1/s/relu/tanh/'
same other_graph act
changed near 's/\[32, 32, 3\]/[32, 32, 3], "interpolation": "nearest"/'
same other_interpolation near
sed 's/{"type": "Rescaling"/{"type": "RandomCrop", "height": 28, "width": 30}, &/; s/plain/crop/' plain.json \
    >crop.json
build crop
same cropped crop
check middle_is_kept_for_validation 'test "$got" = "validation 2 validation 2"'
changed head 's/"filters": 8/"filters": 6/'
same other_head head
check other_head_computes_nothing 'test -z "$got"'
for level in generic avx2 avx512; do
    (TLC_LEVEL=$level ./plain bench --repeat 1) >log 2>&1 || continue
    export TLC_LEVEL=$level
    same level_$level plain
    unset TLC_LEVEL
done
"$build/tlc" plain.json --precision medium -o medium.c 2>log && compile_c medium medium.c
same other_precision medium

# ---- Damage, and two at once ---------------------------------------------------------------------

train plain off
plain=$bits
for file in kept/*/*.features; do
    printf '\252' | dd of="$file" bs=1 seek=100 conv=notrunc 2>log
done
train plain disk
check damaged_row 'test "$bits" = "$plain" && grep -q "a damaged row is computed again" err'
for file in kept/*/*.features; do head -c 3000 "$file" >cut && cp cut "$file"; done
train plain disk
check cut_file 'test "$bits" = "$plain" && grep -q "damaged; it is not used" err'
rm -rf kept
twice() {
    ./plain train --data data --seed 3 --out one --cache disk >log 2>err1 &
    ./plain train --data data --seed 3 --out two --cache disk >log2 2>err2
    wait $!
    cat err1 err2 >err
    cmp one/last.safetensors two/last.safetensors && cmp one/last.safetensors run/last.safetensors
}
check two_at_once twice
check two_compute_once 'test "$(computed | tr " " "\n" | grep -c training)" = 2'
check nothing_is_left 'test -z "$(find kept -name "*.tmp*")"'

# ---- Room ----------------------------------------------------------------------------------------

# What takes more than a MiB takes sanitizers a minute: they see the unit tests of it.
room() {
    # wide: 1.3 MiB of features for training, a fourth of it for validation.
    sed -e 's/"filters": 24, "kernel_size": 3/"filters": 64, "kernel_size": 3/' \
        -e 's/"filters": 20, "kernel_size": 3/"filters": 12, "kernel_size": 7/' \
        -e 's/"epochs": 3/"epochs": 2/' -e s/plain/wide/ -e '/MaxPooling2D/d' -e '/Dropout/d' -e '/"name": "top"/d' \
        -e '/"name": "tune"/,/"epochs": 2/d' -e 's/"batch_size": 20},/"batch_size": 20}]}/' plain.json >wide.json
    build wide
    train wide off
    wide=$bits
    train wide auto --cache-memory 1
    check auto_falls_back_to_disk 'test "$bits" = "$wide" && test "$(computed)" = "training 3 validation 2" &&
        grep -q "training pictures below flatten are kept in $TLC_CACHE" err &&
        grep -q "validation pictures below flatten are kept in memory and in" err'
    train wide auto --cache-memory 1
    check disk_alone_is_found 'test "$bits" = "$wide" && test -z "$(computed)"'
    mv kept aside
    train wide auto --cache-disk 1
    check auto_falls_back_to_memory 'test "$bits" = "$wide" && grep -q "training pictures below flatten are kept in memory:" err'
    train wide auto --cache-disk 1 --cache-memory 1
    check auto_keeps_what_fits 'test "$bits" = "$wide" && grep -q "training pictures are not kept: .* fit neither" err'
    rm -rf kept run
    (trap '' XFSZ && ulimit -f 2000 && ./wide train --data data --seed 3 --out run --cache auto --cache-memory 1) >log 2>err
    check auto_goes_on_without 'grep -q "Features are not kept: the disk refused them" err && ! ls kept/*/*.tmp* &&
        test "$(cat run/last.safetensors run/history.csv | cksum)" = "$wide"'
    (touch no_folder && TLC_CACHE="$work/no_folder/cache" ./wide train --data data --out run2 --seed 3 \
        --cache auto) >log 2>err
    check auto_without_a_folder 'grep -q "cannot make this folder" err && cmp run/last.safetensors run2/last.safetensors'
    rm -rf kept
    mv aside kept
    train plain disk
    stores=$(find kept -name about.txt | wc -l)
    train plain disk --cache-disk 3
    check old_ones_are_removed 'test "$bits" = "$plain" && test "$(du -sm kept | cut -f 1)" -le 3 &&
        test -z "$(computed)" && test "$(grep -c "^removed from the cache: $TLC_CACHE/" err)" = \
        $((stores - $(find kept -name about.txt | wc -l)))'
    train plain disk --cache-disk 3
    check the_latest_are_left 'test -z "$(computed)" && ! grep -q "removed from" err'
}
case ${TEST_CFLAGS:-} in *sanitize*) echo "skip cache/room: too slow here" ;; *) room ;; esac

# ---- Random layers -------------------------------------------------------------------------------

train flips off
flips=$bits
train flips memory
check augmented_same 'test "$bits" = "$flips"'
check validation_alone 'test "$(computed)" = "validation 2 validation 2"'
check augmentation_is_said 'grep -q "training pictures are not kept: random layers" err'
train variants off --phase head
variants=$bits
for mode in memory disk disk; do
    train variants $mode --phase head
    check variants_$mode 'test "$bits" = "$variants"'
done
check variants_are_kept 'test -z "$(computed)"'
check variants_are_said 'grep -q "2 random variants of each" err'
train flips off --phase head --epochs 5
check variants_repeat 'test "$bits" != "$variants"'
train flips off --phase head --epochs 2
flips=$bits
train variants memory --phase head --epochs 2
check first_variants_are_those_of_the_epochs 'test "$bits" = "$flips"'
train variants off --phase head --seed 4
variants=$bits
train variants disk --phase head --seed 4
check variants_of_another_seed 'test "$bits" = "$variants" && test -n "$(computed)"'

# ---- Decoded pictures, where all of the model runs in each epoch ---------------------------------

# decoded: like computed, how many batches of pictures went to the disk.
decoded() {
    sed -n 's/^Pictures, \([a-z]*\)[^:]*: \([0-9]*\)\/.*/\1 \2/p' err | xargs
}

rm -rf kept
changed free 's/"freeze": \[[^]]*\]/"freeze": []/; s/"plain"/"free"/'
train free off
free=$bits
check pictures_off 'test -z "$(decoded)" && ! grep -q "pictures are kept" err'
case ${TEST_CFLAGS:-} in
*sanitize*) counts=3 pauses=0.5 ;;
*) counts="1 3" pauses="0.005 0.01 0.02 0.03 0.05 0.08 0.1" ;;
esac
for threads in $counts; do
    for mode in memory disk; do
        train free $mode --threads $threads
        check pictures_${mode}_$threads 'test -n "$bits" && test "$bits" = "$free"'
    done
done
short="--phase head --epochs 2"
train free off $short
free=$bits
train free auto $short
check pictures_are_said 'test "$bits" = "$free" && grep -q "48 training pictures are kept as decoded and resized in memory: 12.0 KiB" err &&
    grep -q "12 validation pictures are kept as decoded" err'
train free disk $short
check pictures_on_disk_serve_again 'test "$bits" = "$free" && test -z "$(decoded)"'
train free auto --phase head --epochs 1
check one_epoch_keeps_none '! grep -q "pictures are kept" err'
train flips disk $short
check pictures_serve_all_models 'test "$bits" = "$flips" && test -z "$(decoded)"'
rm -rf kept fresh
cp -r data fresh
train free disk --data fresh $short
check pictures_go_to_disk 'test "$(decoded)" = "training 3 validation 1"'
(cat data/train/0/0000.jpg && echo more) >fresh/train/0/new.jpg
cp data/train/1/0001.jpg fresh/train/2/0002.jpg
(head -c 2 data/train/1/0001.jpg && printf '\377\376\000\005new' &&
    tail -c +3 data/train/2/0005.jpg) >fresh/train/1/0004.jpg
echo nothing >fresh/train/0/none.jpg
train free off --data fresh $short
changed=$bits
train free disk --data fresh $short
check pictures_changed 'test "$bits" = "$changed" && test "$(decoded)" = "training 1"'
check pictures_that_cannot_be_read 'grep -q "none.jpg: neither a JPEG nor a PNG picture; left out" err'
for file in kept/*/*.features; do
    printf '\252' | dd of="$file" bs=1 seek=100 conv=notrunc 2>log
done
train free disk $short
check damaged_picture 'test "$bits" = "$free" && grep -q "a damaged row" err'
for file in kept/*/*.features; do head -c 3000 "$file" >cut && cp cut "$file"; done
train free disk $short
check cut_pictures 'test "$bits" = "$free" && grep -q "damaged; it is not used" err'

# Killed again and again, wherever it is, it comes to the same.
killed() {
    rm -rf run kept
    for pause in $pauses; do
        ./free train --data data --seed 3 --out run --cache $1 $short --checkpoint-every 1e-9 >out 2>err &
        sleep $pause
        kill -KILL $! 2>log
        wait $!
    done
    ./free train --data data --seed 3 --out run --cache $1 $short >out 2>err &&
        test "$(cat run/last.safetensors run/history.csv | cksum)" = "$free"
}
check pictures_in_memory_killed 'killed memory'
check pictures_on_disk_killed 'killed disk'

# ---- Half, budgets, options ----------------------------------------------------------------------

train half memory
half=$bits
train half disk
check half_same 'test "$bits" = "$half"'
check half_is_not_whole 'test "$bits" != "$plain"'
sed -e 's/"epochs": 3/"epochs": 3, "cache": "disk"/' -e s/plain/ondisk/ plain.json >ondisk.json
build ondisk
rm -rf run kept
check default_place 'env -u TLC_CACHE ./ondisk train --data data --quiet &&
    ls runs/ondisk/cache/*/about.txt'
check wrong_mode '! ./plain train --data data --cache sometimes 2>err && grep -q "must be auto, off" err'
exit $failed
