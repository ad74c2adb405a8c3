"""Records what Keras gives for the cases of tests/golden/cases, into tests/golden/NAME.npz.

    record.py [NAME...]        all cases without a name

A case is a model.json as tlc reads it. Its phases are "grad" (SGD, learning rate 1, momentum 0.9,
so that after one step the slot is the negative gradient) and "train"; a case without phases is for
inference alone. Members of a recording:

    x, y            the data: two full batches and a partial one
    initial/WEIGHT  the weights before
    output          of inference, all rows
    gradient/WEIGHT of the first batch of phase grad, for each trainable weight
    loss            of ten steps of phase train, from the initial weights, batches in order
    final/WEIGHT    the weights after them

Large models have no x and no initial, but the shapes, as `pictures` and shape/WEIGHT: their
pictures and weights are those of seed 1 (seeded.py).
Of an array of more than 8192 numbers every STEP-th is kept, STEP = (count / 1024) | 1, and beside
it, as total/NAME, the largest magnitude and the sums of values, magnitudes and squares.
"""

import json
import pathlib
import sys
import time
import zlib

import numpy as np

import seeded
from model import Net

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
LARGE = 20000   # parameters
STEPS = 10
SEED = 1
PICTURES = ("Rescaling", "preprocess_input", "VGG16", "VGG19", "RandomFlip", "RandomRotation",
            "RandomZoom", "RandomTranslation", "RandomContrast")


def make_inputs(spec, rows, random):
    """Pictures where the model wants them, else normal numbers in quarters: ties do occur."""
    shape = (rows, *spec["input"]["shape"])
    if spec["layers"][0]["type"] in PICTURES:
        return random.integers(0, 256, shape).astype(np.float32)
    return np.round(random.normal(size=shape) * 4).astype(np.float32) / 4


def make_labels(loss, shape, random):
    """Labels for outputs of this shape, as fit takes them."""
    kind = (loss if isinstance(loss, str) else loss["type"]).lower().replace("_", "")
    if kind == "binarycrossentropy":
        return random.integers(0, 2, shape).astype(np.float32)
    if kind in ("mse", "meansquarederror"):
        return np.round(random.normal(size=shape) * 4).astype(np.float32) / 4
    classes = random.integers(0, shape[-1], shape[:-1])
    return classes if kind.startswith("sparse") else np.eye(shape[-1], dtype=np.float32)[classes]


def make_weights(net, random):
    """Like GlorotUniform in size, but normal, and with biases that are not zero."""
    made = {}
    for name, weight in net.weights.items():
        shape = weight.shape
        fans = np.prod(shape[:-2]) * (shape[-2] + shape[-1]) if len(shape) > 1 else 200
        made[name] = (random.normal(size=shape) * np.sqrt(2 / fans)).astype(np.float32)
    return made


def batch_of(spec):
    phases = spec.get("phases")
    return phases[0].get("batch_size", 32) if phases else 2


def make_data(net, random):
    """x, y (None without phases) and the initial weights of a small model."""
    rows = 2 * batch_of(net.spec) + (batch_of(net.spec) + 1) // 2
    x = make_inputs(net.spec, rows, random)
    return x, make_y(net, rows, random), make_weights(net, random)


def make_y(net, rows, random):
    if "phases" not in net.spec:
        return None
    return make_labels(net.spec["phases"][0]["loss"], (rows, *net.model.output.shape[1:]), random)


def make_seeded_data(net, random):
    """The same of a large model."""
    rows = batch_of(net.spec) + 1
    x = seeded.pixels((rows, *net.spec["input"]["shape"]), SEED)
    weights = {name: seeded.initial_weight(name, tuple(weight.shape), SEED)
               for name, weight in net.weights.items()}
    return x, make_y(net, rows, random), weights


def shapes(weights):
    return {"shape/" + name: np.array(value.shape) for name, value in weights.items()}


def sample(recording, name, values):
    """Adds an array, whole or in part."""
    flat = values.ravel()
    if flat.size <= 8192:
        recording[name] = values
        return
    wide = flat.astype(np.float64)
    recording[name] = flat[:: flat.size // 1024 | 1]
    recording["total/" + name] = np.array(
        [np.abs(wide).max(), wide.sum(), np.abs(wide).sum(), (wide * wide).sum()])


def record(spec):
    net = Net(spec)
    large = net.model.count_params() > LARGE
    random = np.random.default_rng(zlib.crc32(spec["name"].encode()))
    x, y, initial = (make_seeded_data if large else make_data)(net, random)
    net.assign(initial)
    recording = {"x": x, **{"initial/" + name: value for name, value in initial.items()}}
    if large:
        recording = {"pictures": np.array(x.shape), **shapes(initial)}
    sample(recording, "output", net.predict(x, compiled=True))
    if y is not None:
        recording["y"] = y
        net.start("grad")
        for name, value in net.first_gradients(x, y, compiled=True).items():
            sample(recording, "gradient/" + name, value)
        net.start("train")
        recording["loss"] = np.array(net.train(x, y, STEPS, compiled=True))
        for name, value in net.values().items():
            sample(recording, "final/" + name, value)
    return recording


def main(names):
    names = names or sorted(path.stem for path in (GOLDEN / "cases").glob("*.json"))
    for name in names:
        start = time.time()
        spec = json.loads((GOLDEN / "cases" / f"{name}.json").read_text())
        recording = record(spec)
        np.savez_compressed(GOLDEN / f"{name}.npz", **recording)
        size = (GOLDEN / f"{name}.npz").stat().st_size
        losses = recording.get("loss", [])
        print(f"{name}: {size} bytes, {time.time() - start:.1f} s, loss",
              " ".join(f"{losses[i]:.6g}" for i in (0, -1)) if len(losses) else "-", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
