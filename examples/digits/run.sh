#!/bin/sh
# What `make demo` does; DATA and WEIGHTS in the environment name pictures and weights of one's own.
set -eu
make -C "$(dirname "$0")/../.." demo
