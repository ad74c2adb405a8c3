#!/bin/sh
# train --dry-run of phases that keep features: where they are kept, bytes and times as they turn out,
# what is refused; and that it leaves nothing behind.
# Environment: as suite.sh says.
# shellcheck disable=SC2086,SC2317,SC2034 # lists of options; functions that are called by name
set -u
suite=dryrun
. "$(dirname "$0")/suite.sh"
cc="$cc -URT_FILE_LEVELS -DRT_FILE_LEVELS=0" # which compiles in a third of the time
export TLC_CACHE="$work/rows" COLUMNS=80 ASAN_OPTIONS=detect_leaks=0 # tools leave memory behind

# ---- A program, pictures -------------------------------------------------------------------------

cat >kept.json <<'END'
{"name": "kept", "input": {"shape": [32, 32, 3]}, "layers": [
  {"type": "Rescaling", "scale": 0.00392156862745098},
  {"type": "Conv2D", "filters": 24, "kernel_size": 3, "activation": "relu", "name": "conv1"},
  {"type": "Conv2D", "filters": 64, "kernel_size": 3, "activation": "relu", "name": "conv2"},
  {"type": "MaxPooling2D", "pool_size": 4}, {"type": "Flatten"},
  {"type": "Dense", "units": 30, "activation": "relu", "name": "fc"},
  {"type": "Dense", "units": 2, "activation": "softmax", "name": "out"}],
 "phases": [
  {"name": "head", "freeze": ["conv*", "fc"], "optimizer": "adam", "epochs": 20,
   "loss": "categorical_crossentropy", "batch_size": 8},
  {"name": "tune", "freeze": ["conv*"], "optimizer": "sgd", "epochs": 10,
   "loss": "categorical_crossentropy", "batch_size": 8,
   "callbacks": [{"type": "ModelCheckpoint", "filepath": "{epoch:02d}.safetensors"}]},
  {"name": "again", "freeze": ["conv*"], "optimizer": "adam", "epochs": 2,
   "loss": "categorical_crossentropy", "batch_size": 8,
   "callbacks": [{"type": "EarlyStopping", "restore_best_weights": true}]},
  {"name": "all", "optimizer": "sgd", "epochs": 2, "loss": "categorical_crossentropy",
   "batch_size": 8}]}
END
# The program has as much memory and as much room on every disk as the environment says.
cat >limits.c <<'END'
#include <stdlib.h>
#include <sys/statvfs.h>
static double limit(const char *name) { return getenv(name) ? atof(getenv(name)) : 1e12; }
double __wrap_rt_memory_available(void);
double __wrap_rt_memory_available(void) { return limit("LEFT"); }
int statvfs(const char *path, struct statvfs *info)
{
    *info = (struct statvfs){.f_frsize = 1, .f_bavail = path[0] ? (fsblkcnt_t)limit("ROOM") : 0};
    return 0;
}
END
prepare() {
    "$build/tlc" kept.json -o kept.c && compile_c kept kept.c limits.c -Wl,--wrap=rt_memory_available &&
        $cc "$root/tests/check/plant.c" -ljpeg -lpng -lz -lm -o plant && ./plant clean data
}
ok prepare prepare
train=$(find data/train -name '*.*' -type f | wc -l)
validation=$(find data/validation -name '*.*' -type f | wc -l)
row=12544 # of "tune", 7 x 7 x 64 numbers; "head" keeps 30

# tree: names and contents of all there is, but for what the tests themselves write.
tree() { find . -type f ! -name out ! -name err ! -name why ! -name before -exec cksum {} + | sort; }

# limited LIMIT OPTION…: a dry run.
limited() {
    limit=$1
    shift
    env "$limit" ./kept train --data data --dry-run "$@"
}

# bytes LINE: of the first line of `out` that begins so.
bytes() { sed -n "s/^  $1 .* \([0-9]*\) bytes .*/\1/p" out | head -n 1; }

# ---- Where ---------------------------------------------------------------------------------------

tree >before
ends memory 0 limited LEFT=1e9 --cache memory
check memory_says 'test "$(grep -c "^    training  *kept in memory, $train x 120 = " out)" = 1 &&
    test "$(grep -c "^    validation  *kept in memory, $validation x $row = " out)" = 2'
check memory_bytes 'test "$(bytes "features, .*")" = $(((train + validation) * row))'
check copies 'test "$(bytes "copies of weights.*")" = $(((3136 * 30 + 30 + 62) * 4 * 2))'
check again_is_served 'grep -q "^    training .*, 0 to compute$" out'
check all_keep_pictures 'sed -n "/^  phase all: none are kept/,\$p" out |
    grep -q "^    training *decoded pictures kept in memory, $((train * 32 * 32 * 3 * 4)) bytes"'
check rows_of_times 'grep -q "^head .* 20 " out && grep -q "^all  .* 2 " out && grep -q "^all phases" out'
said=$(sed -n 's/^all phases *\([0-9.]*\) s$/\1/p' out)
ends auto 0 limited LEFT=1e9 --phase tune
check auto_takes_both 'grep -q "kept in memory and on disk, $train x $row = " out'
ends little 0 limited LEFT=59e4 --phase tune
check little_takes_disk 'grep -q "kept on disk, $train x $row = " out &&
    grep -q "kept in memory and on disk, $validation x $row = " out'

# ---- What does not fit ---------------------------------------------------------------------------

ends no_memory 6 limited LEFT=59e4 --cache memory
check no_memory_says 'grep -q "training needs .* MiB of memory .* for features; 0.6 MiB are available" err &&
    grep -q "hint: --cache disk" err'
ends no_memory_for_both 6 env LEFT=44e4 ./kept train --data data --out both --cache memory --phase tune
check no_memory_for_both_says 'grep -q "features need 0.4 MiB of memory, 0.4 MiB are available" err'
rm -rf both
ends no_disk 6 limited ROOM=1e6 --cache disk --until again
check no_disk_says 'grep -q "training needs .* MiB of disk; 1.0 MiB are free" err'
features=$(bytes features)
all=$(bytes all)
check disk_says 'grep -q "^  files of ModelCheckpoint" out && test $features -gt 0'
ends too_little_disk 6 limited ROOM=$((all - 1)) --cache disk --until again
ends disk_without 0 limited ROOM=$((all - 1)) --cache off --until head
check keeps_nothing 'tree | diff before - && ! test -e runs && ! test -e rows'

# ---- As it turns out -----------------------------------------------------------------------------

weights=$(bytes "best and last weights")
ends train 0 ./kept train --data data --cache disk --quiet --until again
check features_are_as_said 'test "$features" = "$(cat rows/*/*.features | wc -c)"'
got=$(cat runs/kept/best.safetensors runs/kept/last.safetensors | wc -c)
check files_are_as_said 'test $got -le $weights && test $weights -le $((got + got / 50))'
ends found 0 limited ROOM=$((all - features)) --cache disk --until tune
check found_are_not_computed 'test "$(grep -c ", 0 to compute$" out)" = 4 &&
    ! sed "/^memory/,\$d" out | grep -q "^  features"'

# Times: gross errors only, since others may be at work.
case ${TEST_CFLAGS:-} in
*sanitize*) echo "skip dryrun/times: sanitizers" ;;
*)
    rm -rf runs
    start=$(date +%s%N)
    ends times_train 0 ./kept train --data data --cache memory --quiet
    took=$((($(date +%s%N) - start) / 1000000))
    check times_are_as_said 'awk "BEGIN { exit !($said * 1000 > $took / 4 && $said * 1000 < $took * 3) }"'
    ;;
esac
exit $failed
