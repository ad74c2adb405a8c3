# shellcheck shell=sh
# suite.sh: what the suites that run generated programs share. Sourced by each after suite=NAME, it
# takes them to an empty folder of their own, $work; they end with `exit $failed`.
#
# Environment: BUILD, the build folder, with tlc and libtlcrt.a in it; CC and TEST_CFLAGS, the
# compiler and its options; RT_LIBS, what libtlcrt.a links, as make sets it.
# shellcheck disable=SC2034,SC2086,SC2154 # variables of the suites; lists of options
root=$(cd "$(dirname "$0")" && pwd)
root=${root%/tests*}
cd "$root" || exit 1
mkdir -p "${BUILD:-build}/$suite"
build=$(cd "${BUILD:-build}" && pwd)
work=$build/$suite
libs=${RT_LIBS:?"the libraries of libtlcrt.a; make sets it"}
cc="${CC:-cc} -std=gnu11 ${TEST_CFLAGS:--O2} -Wall -Wextra -Werror"
failed=0
rm -rf "${work:?}"/*
cd "$work" || exit 1

# ---- Tests ---------------------------------------------------------------------------------------

fail() { echo "FAIL $suite/$1: $2" && failed=1; }

# ends NAME CODE COMMAND…: it exits with the code. Its output is in `out`, its messages in `err`.
ends() {
    test_name=$1 test_code=$2 # names that no command of a suite uses
    shift 2
    "$@" >out 2>err
    got=$?
    if [ $got = "$test_code" ]; then
        echo "ok $suite/$test_name"
    else
        fail "$test_name" "exit $got, not $test_code: $(cat out err | tail -n 3 | tr '\n' ' ')"
    fi
}

# ok NAME COMMAND…: it succeeds.
ok() {
    test_name=$1
    shift
    ends "$test_name" 0 "$@"
}

# check NAME CONDITION: a condition in words of the shell holds.
check() {
    if eval "$2" >"$work/why" 2>&1; then
        echo "ok $suite/$1"
    else
        fail "$1" "not true: $2: $(tr '\n' ' ' <"$work/why" | head -c 400)"
    fi
}

# shows NAME FILE TEXT…: the file (out, err or another) holds each text.
shows() {
    test_name=$1 file=$2
    shift 2
    for text; do
        grep -qF -e "$text" "$file" || { fail "$test_name" "no \"$text\" in $file" && return; }
    done
    echo "ok $suite/$test_name"
}

# ---- Programs, pictures --------------------------------------------------------------------------

# compile_c NAME FILE…: C files, or options, to a program with the library.
compile_c() {
    program=$1
    shift
    $cc -I"$root/runtime" "$@" "$build/libtlcrt.a" $libs -o "$program"
}

# compile NAME [OPTION…]: NAME.json to a program, with options of tlc.
compile() {
    model=$1
    shift
    "$build/tlc" "$model.json" "$@" -o "$model.c" && compile_c "$model" "$model.c"
}

# draw_pictures [COUNT INK NOISE]: noisy pictures of three classes in turn, in data/train and
# data/validation: ink below, ink to the right, a chessboard.
draw_pictures() {
    $cc "$root/tools/digits.c" -ljpeg -o digits &&
        awk -v count="${1:-90}" -v ink="${2:-10}" -v noise="${3:-6}" 'BEGIN {
            for (n = 0; n < count; n++) {
                for (i = 0; i < 64; i++) {
                    y = int(i / 8); x = i % 8
                    dark = n % 3 == 0 ? y > 3 : n % 3 == 1 ? x > 3 : (x + y) % 2
                    seed = (seed * 1103 + 12345) % 65536
                    printf "%d,", ink * dark + seed % noise
                }
                print n % 3
            }
        }' | ./digits data
}
