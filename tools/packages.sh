#!/bin/sh
# Installs the Debian packages that a purpose needs: tools/packages.sh build|test|parity
# Asks apt only for what is missing, so that it costs nothing the second time.
set -eu

build="gcc make pkg-config libc6-dev libcjson-dev libhdf5-dev libjpeg62-turbo-dev libpng-dev
       libzip-dev libmd-dev libxxhash-dev"
demo="$build python3 python3-venv"
test="$build libcmocka-dev clang-14 libclang-rt-14-dev clang-format-14 universal-ctags"
parity="$demo"

case "${1:-build}" in
build) wanted=$build ;;
demo) wanted=$demo ;;
test) wanted=$test ;;
parity) wanted=$parity ;;
*) echo "usage: tools/packages.sh build|demo|test|parity" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "tools/packages.sh: not root, and there is no sudo; please install:$missing" >&2
        exit 1
    }
    sudo=sudo
fi
echo "Installing:$missing" >&2
$sudo apt-get update -qq >&2
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >&2
