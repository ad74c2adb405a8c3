#!/bin/sh
# The rules of the house that a program can check: who may include what, that every op has a test, how
# long files are.
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1

# report NAME FINDINGS: ok when there are none.
report() {
    if [ -z "$2" ]; then echo "ok $1"; else echo "FAIL $1: $(echo "$2" | tr '\n' ' ')"; fi
}

# Each third-party header in at most one file of each program.
for room in compiler runtime; do
    for header in cblas.h hdf5.h cjson/cJSON.h jpeglib.h png.h zip.h md5.h sha2.h xxhash.h; do
        files=$(grep -rlE "#include <(.*/)?$(basename $header)>" $room | sort)
        report "$room includes $header once" "$([ "$(echo "$files" | grep -c .)" -le 1 ] || echo "$files")"
    done
done

report "templates include nothing but rt.h, math.h, string.h" \
    "$(grep -nE '^#include' templates/*.c |
       grep -vE '"([a-z0-9_]+\.c|rt\.h)"|<(math|string)\.h>|THIS_FILE')"
report "only error.c ends tlc" \
    "$(grep -nE '\b(exit|abort)\(' compiler/*.c compiler/ops/*.c compiler/bases/*.c | grep -v '^compiler/error.c')"
report "sources have at most 500 lines" \
    "$(wc -l compiler/*.[ch] compiler/*/*.[ch] runtime/*.[ch] templates/*.c | awk '$1 > 500 && $2 != "total" {print $2 " " $1}')"
report "lines have at most 100 columns" \
    "$(grep -nE '^.{101,}' compiler/*.[ch] compiler/*/*.[ch] runtime/*.[ch] templates/*.c | cut -d: -f1,2)"
report "each header stands alone" \
    "$(for header in compiler/*.h runtime/*.h; do
           echo "#include \"$header\"" | gcc -std=gnu11 -I. -Iruntime -fsyntax-only -x c - 2>&1 | head -n 1
       done)"
report "no op is tested for by a pass" \
    "$(grep -nE 'strcmp\([^)]*op->name' compiler/build.c compiler/simplify.c compiler/grad.c compiler/fuse.c \
        compiler/select.c compiler/schedule.c compiler/plan.c)"
if command -v ctags >/dev/null; then
    report "functions have at most 100 lines" \
        "$(ctags -x --c-kinds=f --_xformat='%{line} %{end} %N %F' compiler/*.c compiler/*/*.c runtime/*.c |
           awk '$2 - $1 >= 100 {print $3 " in " $4}')"
else
    echo "skip functions have at most 100 lines: no ctags"
fi

# Every op that the language has appears in a test of tests/ops.
for op in $(grep -lE 'OP_LAYER' compiler/ops/*.c |
            xargs sed -n 's/^ *\.name = "\([A-Za-z0-9_]*\)".*/\1/p' | grep -E '^[A-Z]|^preprocess'); do
    report "op $op has a test" \
        "$(grep -qE "\"type\": *\"$op\"" tests/ops/*.json tests/golden/cases/*.json || echo missing)"
done
