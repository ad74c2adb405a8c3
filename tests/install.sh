#!/bin/sh
# Installs, compiles a model with the very line that tlc prints, and runs the result.
# shellcheck disable=SC2317 # functions are called by try
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
mkdir -p "$build/install"
work=$(cd "$build/install" && pwd)
rm -rf "${work:?}"/*
failed=0

# try NAME COMMAND…: ok if the command succeeds.
try() {
    name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok install/$name"
    else
        echo "FAIL install/$name: $(tail -n 3 "$work/log" | tr '\n' ' ')"
        failed=1
    fi
}

# The six files of an installation below $1, and no other.
holds_all() {
    find "$1" -type f | sort >"$work/found"
    for file in bin/tlc include/tlc/rt.h lib/libtlcrt.a lib/pkgconfig/tlcrt.pc \
        share/man/man1/tlc.1 share/tlc/model.schema.json; do
        echo "$1/$file"
    done | diff - "$work/found"
}

# Compiles a small model in a folder of its own, as a user with tlc installed in $1 would.
follow_line() (
    mkdir -p "$work/user" && cd "$work/user" || return 1
    cat >small.json <<'JSON'
{"name": "small", "input": {"shape": [32, 32, 3]}, "layers": [
  {"type": "Rescaling", "scale": 0.00392156862745098},
  {"type": "Conv2D", "filters": 8, "kernel_size": 3, "activation": "relu"},
  {"type": "GlobalAveragePooling2D"}, {"type": "Dense", "units": 2, "activation": "softmax"}]}
JSON
    PATH=$1/bin:$PATH tlc small.json -o small.c 2>said || return 1
    line=$(sed -n 's/^ *\(cc .*\)/\1/p' said)
    echo "$line"
    [ -n "$line" ] && PKG_CONFIG_PATH=$1/lib/pkgconfig sh -e -c "$line"
)

small_runs() { "$work/user/small" summary && "$work/user/small" bench --repeat 1; }

page_is_clean() { [ -z "$(man -l --warnings docs/tlc.1 2>&1 >/dev/null)" ]; }

is_gone() { [ -z "$(find "$1" -type f)" ] && [ ! -d "$1/include/tlc" ] && [ ! -d "$1/share/tlc" ]; }

try destdir make -s install BUILD="$build" DESTDIR="$work/root" PREFIX=/usr
try files holds_all "$work/root/usr"
try prefix_in_pc grep -qx prefix=/usr "$work/root/usr/lib/pkgconfig/tlcrt.pc"
try uninstall make -s uninstall BUILD="$build" DESTDIR="$work/root" PREFIX=/usr
try nothing_left is_gone "$work/root/usr"
try prefix make -s install BUILD="$build" PREFIX="$work/opt"
try version "$work/opt/bin/tlc" --version
try printed_line follow_line "$work/opt"
try program small_runs
if command -v man >/dev/null; then
    try man_page page_is_clean
else
    echo "skip install/man_page: no man"
fi
exit $failed
