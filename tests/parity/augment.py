"""Augmentation layers against live Keras: the same pictures out, given the same random numbers.

Keras's layers are called on one picture at a time while their source of uniform numbers is that of
the generated program: ranges, the order of draws and what is done to the pixels are Keras's own. The
program hands its pictures through a convolution that changes nothing; --trace writes them.
"""

import json
import subprocess
import sys

import keras.src.backend.tensorflow.random as keras_random
import numpy as np

import seeded
from model import make_layer
from programs import BUILD, Failure, compile_model, run

SEED, ROWS, HEIGHT, WIDTH = 21, 12, 19, 24
SAMPLING = [{"fill_mode": mode} for mode in ("reflect", "wrap", "nearest")]
SAMPLING += [{"fill_mode": "constant", "fill_value": 50.0}, {"interpolation": "nearest"}]
CASES = [{"type": "RandomFlip"}, {"type": "RandomFlip", "mode": "horizontal"},
         {"type": "RandomFlip", "mode": "vertical"},
         {"type": "RandomContrast", "factor": 0.4}, {"type": "RandomContrast", "factor": [0.2, 0.5]},
         {"type": "RandomBrightness", "factor": 0.3},
         {"type": "RandomBrightness", "factor": [-0.5, -0.1]},
         {"type": "RandomContrast", "factor": [0.9, 0.1], "value_range": [30, 200]},
         {"type": "RandomBrightness", "factor": [0.6, -0.2], "value_range": [150, 20]},
         {"type": "RandomBrightness", "factor": -0.3},
         {"type": "RandomCrop", "height": 13, "width": 20}]
CASES += [{"type": "RandomRotation", "factor": 0.15, **more} for more in SAMPLING]
CASES += [{"type": "RandomZoom", "height_factor": [-0.4, 0.5], "width_factor": 0.3, **more}
          for more in SAMPLING]
CASES += [{"type": "RandomZoom", "height_factor": 0.3},
          {"type": "RandomZoom", "height_factor": [0.3, -0.2]},
          {"type": "RandomZoom", "height_factor": 1},
          {"type": "RandomZoom", "height_factor": -0.5, "width_factor": [0.1, 0.1]},
          {"type": "RandomRotation", "factor": [0.25, 0.05]},
          {"type": "RandomRotation", "factor": [0, 1], "fill_mode": "constant",
           "interpolation": "nearest"}]
CASES += [{"type": "RandomTranslation", "height_factor": [-0.5, 0.2], "width_factor": 0.4, **more}
          for more in SAMPLING]

# Whether a layer takes them is held against Keras.
VALUES = [0, 0.5, 1, -1, -0.5, 1.5, -1.5, [0.1, 0.2], [0.5, 0.3], [-1, 1], [-1, 0.5], [0.2],
          [0.1, 0.2, 0.3], "0.1", None]
TAKEN = [("RandomRotation", "factor", {}), ("RandomZoom", "height_factor", {}),
         ("RandomZoom", "width_factor", {"height_factor": 0.1}),
         ("RandomTranslation", "height_factor", {"width_factor": 0.1}),
         ("RandomTranslation", "width_factor", {"height_factor": 0.1}),
         ("RandomContrast", "factor", {}), ("RandomBrightness", "factor", {}),
         ("RandomBrightness", "value_range", {"factor": 0.1}),
         ("RandomZoom", "fill_mode", {"height_factor": 0.1}),
         ("RandomZoom", "interpolation", {"height_factor": 0.1})]
WORDS = {"fill_mode": ("reflect", "constant", "wrap", "nearest", "mirror", None),
         "interpolation": ("bilinear", "nearest", "bicubic", None)}
# Keras takes a missing factor for 0, and of a pair it looks only at one side of each end.
KNOWN = [("RandomRotation", "factor", None), ("RandomBrightness", "factor", None),
         ("RandomContrast", "factor", None), ("RandomContrast", "factor", [-1, 1]),
         ("RandomContrast", "factor", [-1, 0.5])]


def draws():
    """The uniform numbers of each picture: epoch 0, layer 0."""
    words = [seeded.philox(SEED, np.zeros(1, np.uint64), 0, row, 0)[0] for row in range(ROWS)]
    return (np.array(words) >> np.uint64(8)).astype(np.float32) / np.float32(1 << 24)


def by_keras(case, x):
    made, uniform = [], keras_random.uniform
    try:
        for picture, numbers in zip(x, draws()):
            rest = iter(numbers)

            def take(shape, minval=0.0, maxval=1.0, **_):
                return np.full(shape, np.float32(minval + next(rest) * (maxval - minval)))

            keras_random.uniform = take
            made.append(np.asarray(make_layer(case)(picture[None], training=True))[0])
    finally:
        keras_random.uniform = uniform
    return np.stack(made)


def by_tlc(case, x, number):
    folder = BUILD / "parity" / "augment" / str(number)
    program = compile_model(
        {"name": f"augment{number}", "input": {"shape": list(x.shape[1:])},
         "layers": [case, {"type": "Conv2D", "filters": 3, "kernel_size": 1, "name": "same"}],
         "phases": [{"name": "all", "loss": "mean_squared_error", "batch_size": ROWS}]},
        folder, "-O1")
    shape = (case.get("height", HEIGHT), case.get("width", WIDTH), 3)
    np.savez(folder / "data.npz", x=x, y=np.zeros((ROWS, *shape), np.float32))
    seeded.write_safetensors(folder / "same.safetensors",
                             {"same/kernel": np.eye(3, dtype=np.float32)[None, None],
                              "same/bias": np.zeros(3, np.float32)})
    run("train", program, "train", "--data", folder / "data.npz", "--weights",
        folder / "same.safetensors", "--no-shuffle", "--steps", 1, "--seed", SEED,
        "--trace", folder / "trace.npz")
    return np.load(folder / "trace.npz")["output"].reshape(ROWS, *shape)


def is_taken_by_keras(case):
    try:
        make_layer(case)
    except (ValueError, TypeError, NotImplementedError):
        return False
    return True


def is_taken_by_tlc(case):
    folder = BUILD / "parity" / "augment"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "taken.json").write_text(json.dumps(
        {"name": "taken", "input": {"shape": [8, 8, 3]}, "layers": [case, {"type": "Flatten"}]}))
    done = subprocess.run([BUILD / "tlc", folder / "taken.json", "-o", folder / "taken.c"],
                          capture_output=True, timeout=20, check=False)
    return done.returncode == 0


def check_taken():
    failed = 0
    for layer, key, others in TAKEN:
        for value in WORDS.get(key, VALUES):
            case = {"type": layer, **others, key: value}
            theirs, ours = is_taken_by_keras(case), is_taken_by_tlc(case)
            if theirs != ours and (layer, key, value) not in KNOWN:
                print(f"FAIL augment takes {layer} {key} {value}: Keras {theirs}, tlc {ours}")
                failed = 1
    if not failed:
        print("ok augment takes what Keras takes")
    return failed


def main():
    x = np.random.default_rng(4).integers(0, 256, (ROWS, HEIGHT, WIDTH, 3)).astype(np.float32)
    failed = check_taken()
    for number, case in enumerate(CASES):
        name = " ".join(str(value) for value in case.values())
        try:
            theirs, ours = by_keras(case, x), by_tlc(case, x, number)
            # A point on the edge between two pixels may be rounded either way.
            off = np.abs(ours - theirs).reshape(ROWS, -1)
            wrong = (off > 0.05).mean()
            allowed = 0.005 if "nearest" in case.values() or "wrap" in case.values() else 0
            if wrong > allowed:
                raise Failure("pixels", f"{wrong:.2%} of the numbers differ, at most by {off.max():.3g}")
            print(f"ok augment {name}: {wrong:.2%} beyond 0.05, else at most "
                  f"{off[off <= 0.05].max():.1e}")
        except Failure as failure:
            print(f"FAIL augment {name}: {failure.stage}: {failure}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
