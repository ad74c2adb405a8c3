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

Large models have no x, and of initial/ only the biases, but the shapes, as `pictures` and
shape/WEIGHT: their pictures and kernels come from seed 1 (seeded.py), or, where seeds/WEIGHT says
so for an output channel, from another.
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
from model import Net, keras

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
LARGE = 20000   # parameters
STEPS = 10
SEED = 1        # of large models' pictures and kernels
SEEDS = 8       # tried for kernels before a pooling
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
    """Like GlorotUniform in size, but normal, and with biases that are not zero; what multiplies or
    divides is near 1."""
    made = {}
    for name, weight in net.weights.items():
        shape = weight.shape
        fans = np.prod(shape[:-2]) * (shape[-2] + shape[-1]) if len(shape) > 1 else 200
        made[name] = (random.normal(size=shape) * np.sqrt(2 / fans)).astype(np.float32)
        if is_sparse(net.spec):
            made[name][np.abs(made[name]) < 0.05] = 0
        if name.endswith(("/gamma", "/moving_variance")):
            made[name] += 1
    return made


def is_sparse(spec):
    """Whether weights get an L1 penalty, whose gradient is zero where they are."""
    return any("L1" in str(value) for layer in spec["layers"] for key, value in layer.items()
               if key.endswith("_regularizer"))


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


def widest_gaps(values):
    """The middle of the widest gap among the values nearest to zero, for each column; zero where
    all values are clearly on one side of it."""
    reach, edge = max(2, len(values) // 100), 0.01 * values.std(0)
    gaps = np.zeros(values.shape[1], np.float32)
    ordered = np.sort(values, 0)
    ordered = np.concatenate([ordered[:1] - edge, ordered, ordered[-1:] + edge])
    for column, line in enumerate(ordered.T):
        zero = np.searchsorted(line, 0)
        near = line[max(zero - reach, 0):zero + reach]
        if 0 < zero < len(line):
            at = np.diff(near).argmax()
            gaps[column] = (near[at] + near[at + 1]) / 2
    return gaps


def smallest_leads(x):
    """By how much the largest number of a 2x2 window leads, at least, for each channel; nothing
    for channels where most windows hold only zeros: they would win, and say little."""
    n, h, w, c = x.shape
    windows = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c)
    windows = np.sort(windows.transpose(0, 1, 3, 2, 4, 5).reshape(-1, 4, c), 1)
    leads = np.where(windows[:, 3] > 0, windows[:, 3] - windows[:, 2], np.inf).min(0)
    return np.where((windows[:, 3] > 0).mean(0) > 0.5, leads, 0)


def settle_layer(layer, x, seeds):
    """Sets kernel and bias of a layer with ReLU; returns the seed of each channel's kernel."""
    name, shape = f"{layer.name}/kernel", tuple(layer.kernel.shape)
    chosen, leads = np.zeros(shape[-1], np.int64), np.full(shape[-1], -np.inf)
    kernel, bias = np.zeros(shape, np.float32), np.zeros(shape[-1], np.float32)
    layer.activation = keras.activations.linear
    for seed in range(SEED, SEED + seeds):
        drawn = seeded.initial_weight(name, shape, seed)
        layer.kernel.assign(drawn)
        layer.bias.assign(np.zeros_like(bias))
        values = np.asarray(layer(x))
        gaps = widest_gaps(values.reshape(-1, shape[-1]))
        found = smallest_leads(np.maximum(values - gaps, 0)) if seeds > 1 else leads + 1
        better = (found > leads) | (chosen == 0)
        kernel[..., better], bias[better] = drawn[..., better], -gaps[better]
        chosen[better], leads[better] = seed, found[better]
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)
    layer.activation = keras.activations.relu
    return chosen


def settle(net, x):
    """Makes the gradient of this batch well-conditioned. In a large network some unit out of
    millions lies so near to zero, or some pooling window has two numbers so much alike, that
    rounding decides where the gradient goes, and all below changes by a hundredth. So each bias
    puts zero into a gap between the values of its channel, and before a pooling each channel takes
    that of a few kernels by which the windows are decided most clearly. Returns their seeds."""
    choices = {}
    for layer, following in zip(net.layers, [*net.layers[1:], None]):
        if getattr(layer, "activation", None) is keras.activations.relu:
            pooled = isinstance(following, keras.layers.MaxPooling2D)
            seeds = settle_layer(layer, x, SEEDS if pooled else 1)
            if pooled:
                choices[f"{layer.name}/kernel"] = seeds
        x = layer(x)
    return choices


def make_seeded_data(net, random):
    """The same of a large model, and the seeds of kernels by channel where they are not SEED."""
    rows = batch_of(net.spec) + 1
    x = seeded.pixels((rows, *net.spec["input"]["shape"]), SEED)
    net.assign({name: seeded.initial_weight(name, tuple(weight.shape), SEED)
                for name, weight in net.weights.items()})
    choices = settle(net, x[: rows - 1])
    return x, make_y(net, rows, random), net.values(), choices


def describe_seeded(x, weights, choices):
    """What a recording says of seeded data: all but the numbers that the seeds give."""
    made = {"pictures": np.array(x.shape)}
    made |= {"seeds/" + name: seeds for name, seeds in choices.items()}
    for name, value in weights.items():
        if value.ndim > 1:
            made["shape/" + name] = np.array(value.shape)
        else:
            made["initial/" + name] = value
    return made


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
    random = np.random.default_rng(zlib.crc32(spec["name"].encode()))
    if net.model.count_params() > LARGE:
        x, y, initial, choices = make_seeded_data(net, random)
        recording = describe_seeded(x, initial, choices)
    else:
        x, y, initial = make_data(net, random)
        recording = {"x": x, **{"initial/" + name: value for name, value in initial.items()}}
    net.assign(initial)
    sample(recording, "output", net.predict(x, compiled=True))
    if y is not None:
        recording["y"] = y
        net.start("grad")
        for name, value in net.first_gradients(x, y, compiled=True).items():
            sample(recording, "gradient/" + name, value)
        net.assign(initial)  # batch statistics have moved
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
