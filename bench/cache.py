"""The feature cache: the head of a frozen VGG16 on 1,000 pictures of 180x180 and 400 for validation,
20 epochs without augmentation, against Keras with the base in the model, and against Keras with
the features extracted by hand.

    BUILD/bench-venv/bin/python bench/cache.py [--epochs N] [--no-keras]

tlc is measured in full. Of Keras with the base in the model some steps are, and the rest is
extrapolated. Weights are random and pictures are noise: times do not depend on them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

import network  # noqa: F401: finds tests/parity for the import of programs
from machine import Load, choose_cpus, cpu_name
from peers.tlc import call, compile_program
from programs import BUILD

HERE = pathlib.Path(__file__).resolve().parent
WORK = BUILD / "bench" / "cache"
TRAINING, VALIDATION, BATCH, SIZE = 1000, 400, 32, 180
STEPS = 6  # of Keras with the base in the model, behind two that are not counted


def make_data():
    draw = np.random.default_rng(1)
    for name, count in (("train", TRAINING), ("validation", VALIDATION)):
        if not (WORK / f"{name}.npz").exists():
            x = draw.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
            np.savez(WORK / f"{name}.npz", x=x, y=draw.integers(0, 2, (count, 1)).astype("float32"))


def load(name):
    with np.load(WORK / f"{name}.npz") as data:
        return data["x"], data["y"]


# ---- tlc -----------------------------------------------------------------------------------------

def make_programs(epochs):
    spec = json.loads((HERE / "train.json").read_text())
    layers = [layer for layer in spec["layers"] if not layer["type"].startswith("Random")]
    head = dict(spec["phases"][0], epochs=epochs)
    compile_program(dict(spec, name="cached", layers=layers, phases=[head]), WORK / "cached",
                    "highest")
    base = [layer for layer in layers if layer["type"] in ("preprocess_input", "VGG16", "Flatten")]
    compile_program(dict(spec, name="base", layers=base, phases=[]), WORK / "base", "highest")


def seconds(function, *words):
    start = time.perf_counter()
    function(*words)
    return time.perf_counter() - start


def train(threads, *words):
    """Seconds of a training."""
    subprocess.run(["rm", "-rf", WORK / "run"], check=True)
    return seconds(call, WORK / "cached/model", "train", "--data", WORK / "train.npz",
                   "--validation", WORK / "validation.npz", "--threads", threads, "--quiet",
                   "--out", WORK / "run", "--cache", *words)


def measure_tlc(threads, epochs):
    """Seconds of a training, of one pass of the base, and of the head's own epochs."""
    whole = train(threads, "memory")
    one = train(threads, "memory", "--epochs", 1)
    base = WORK / "base/model"
    features = sum(seconds(call, base, "features", "--threads", threads, "--quiet", "--data",
                           WORK / f"{name}.npz", "-o", WORK / "features.npy")
                   for name in ("train", "validation"))
    return whole, features, (whole - one) * epochs / (epochs - 1)


# ---- Keras: in processes of its own --------------------------------------------------------------

def keras_head(keras, inputs, x):
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(256)(keras.layers.Flatten()(x)))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(x))
    model.compile(keras.optimizers.RMSprop(1e-5), "binary_crossentropy", metrics=["accuracy"],
                  jit_compile=False)
    return model


def measure_keras_whole(keras, base, epochs):
    """Extrapolated from STEPS steps and as many batches of validation."""
    base.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    x = base(keras.applications.vgg16.preprocess_input(inputs), training=False)
    model = keras_head(keras, inputs, x)
    x, y = (part[:BATCH * STEPS] for part in load("train"))
    x = x.astype("float32")
    model.fit(x[:2 * BATCH], y[:2 * BATCH], batch_size=BATCH, verbose=0)
    model.evaluate(x[:2 * BATCH], y[:2 * BATCH], batch_size=BATCH, verbose=0)
    train = seconds(lambda: model.fit(x, y, batch_size=BATCH, verbose=0))
    evaluate = seconds(lambda: model.evaluate(x, y, batch_size=BATCH, verbose=0))
    return {"whole": epochs * (train * TRAINING + evaluate * VALIDATION) / len(x)}


def measure_keras_by_hand(keras, base, epochs):
    def extract(name):
        x = keras.applications.vgg16.preprocess_input(load(name)[0].astype("float32"))
        return base.predict(x, batch_size=BATCH, verbose=0)

    start = time.perf_counter()
    train, validation = extract("train"), extract("validation")
    middle = time.perf_counter()
    inputs = keras.Input(train.shape[1:])
    model = keras_head(keras, inputs, inputs)
    model.fit(train, load("train")[1], batch_size=BATCH, epochs=epochs, verbose=0,
              validation_data=(validation, load("validation")[1]))
    return {"extract": middle - start, "head": time.perf_counter() - middle}


def run_keras(what, threads, epochs):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    measure = {"whole": measure_keras_whole, "by_hand": measure_keras_by_hand}[what]
    print(json.dumps(measure(keras, base, epochs)))


def ask_keras(what, epochs):
    done = subprocess.run([sys.executable, __file__, "--keras", what, "--epochs", str(epochs)],
                          check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


# ---- The table -----------------------------------------------------------------------------------

def compare(threads, options):
    load_of_others = Load(os.sched_getaffinity(0))
    make_programs(options.epochs)
    make_data()
    print(f"{cpu_name()}, {threads} threads; {TRAINING} + {VALIDATION} pictures {SIZE}x{SIZE}, "
          f"{options.epochs} epochs of the head")
    memory, base, head = measure_tlc(threads, options.epochs)
    print(f"tlc, features in memory: {memory:.1f} s; one pass of the base {base:.1f} s, the head's "
          f"epochs {head:.1f} s: {memory / (base + head):.2f} times their sum", flush=True)
    subprocess.run(["rm", "-rf", WORK / "kept"], check=True)
    print(f"tlc, features on disk: {train(threads, 'disk'):.1f} s; the next run "
          f"{train(threads, 'disk'):.1f} s", flush=True)
    if options.keras != "none":
        whole = ask_keras("whole", options.epochs)["whole"]
        print(f"Keras, base in the model (extrapolated from {STEPS} steps): {whole:.0f} s, "
              f"{whole / memory:.1f} times tlc's", flush=True)
        hand = ask_keras("by_hand", options.epochs)
        total = hand["extract"] + hand["head"]
        print(f"Keras, features by hand: {hand['extract']:.1f} + {hand['head']:.1f} s, "
              f"{total / memory:.1f} times tlc's")
    print(f"others had {100 * load_of_others.others():.0f} % of these CPUs")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--no-keras", dest="keras", action="store_const", const="none")
    parser.add_argument("--keras", help=argparse.SUPPRESS)
    options = parser.parse_args()
    threads = len(choose_cpus(int(os.environ.get("BENCH_THREADS", 2))))
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ["TLC_CACHE"] = str(WORK / "kept")
    if options.keras in ("whole", "by_hand"):
        run_keras(options.keras, threads, options.epochs)
    else:
        compare(threads, options)


if __name__ == "__main__":
    main()
