#!/bin/sh
# A template is a C file that compiles: each by itself, under gcc and clang, with the example values at
# its top.
set -u
cd "$(dirname "$0")/.." || exit 1
flags="-std=gnu11 -Wall -Wextra -Werror -Wno-unused-function -fsyntax-only -Iruntime -Itemplates"

try() {
    if messages=$("$@" 2>&1); then
        echo "ok $name"
    else
        echo "FAIL $name: $(echo "$messages" | head -n 3 | tr '\n' ' ')"
    fi
}

for template in templates/*.c; do
    name="$template gcc"
    # shellcheck disable=SC2086 # flags are words
    try gcc $flags $template
    name="$template clang"
    if command -v clang-14 >/dev/null; then
        # shellcheck disable=SC2086
        try clang-14 $flags -Wno-dollar-in-identifier-extension $template
    else
        echo "skip $name: no clang-14"
    fi
done
