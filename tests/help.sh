#!/bin/sh
# The tables of options in docs/training.md are those that a program prints with --help.
# tests/help.sh --record writes them there. Environment: BUILD, CC, TEST_CFLAGS, RT_LIBS, as for
# tests/golden/run.
# shellcheck disable=SC2086 # lists of options
set -u
build=${BUILD:-build} doc=docs/training.md
work=$build/help
mkdir -p "$work"
cat >"$work/model.json" <<'EOF'
{"name": "model", "input": {"shape": [2, 2, 1]},
 "layers": [{"type": "Flatten"}, {"type": "Dense", "units": 1, "activation": "sigmoid"}],
 "phases": [{"name": "all", "loss": "binary_crossentropy"}]}
EOF
"$build/tlc" "$work/model.json" -o "$work/model.c" 2>"$work/log" &&
    ${CC:-cc} -std=gnu11 ${TEST_CFLAGS:--O0} -Iruntime "$work/model.c" "$build/libtlcrt.a" $RT_LIBS \
        -o "$work/model" || { cat "$work/log"; exit 1; }

# table COMMAND: its options as rows.
table() {
    printf '\n### `%s`\n\n| option | |\n|---|---|\n' "$1"
    "$work/model" "$1" --help | sed -n 's/^  \(--[^ ]*\) \([^ ]*\)  *\(.*\)$/| `\1 \2` | \3 |/p' |
        sed 's/ ` |/` |/'
}
for command in train evaluate check lrfind report; do table $command; done >"$work/tables"
awk -v tables="$work/tables" '
    /<!-- end options -->/ { print ""; skip = 0 }
    !skip { print }
    /<!-- begin options -->/ {
        while ((getline line < tables) > 0) print line
        skip = 1
    }' $doc >"$work/doc"
[ "${1:-}" != --record ] || cp "$work/doc" $doc
if diff $doc "$work/doc" && grep -q -- '--checkpoint-every' $doc; then
    echo "ok help/options"
else
    echo "FAIL help/options: $doc does not have what --help prints; tests/help.sh --record"
    exit 1
fi
