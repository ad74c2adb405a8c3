"""A Keras model from a tlc model.json, layer for layer.

Builds the flat functional model that tlc compiles: the layers of a base (VGG16, VGG19) stand in it
under their own names, so that a weight is called "block1_conv1/kernel" on both sides. Anything that
this file does not know is an error of Keras's or of a dictionary look-up: tests only use it on
models that tlc accepts.
"""

import fnmatch
import os
import re
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

# TensorFlow writes notices to stderr while it is loaded, whatever its log level.
_stderr, _null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
os.dup2(_null, 2)
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
os.dup2(_stderr, 2)
from keras import layers as L  # noqa: E402
from keras.applications import imagenet_utils  # noqa: E402
from keras.src.utils import naming  # noqa: E402

tf.get_logger().setLevel("ERROR")
warnings.filterwarnings("ignore", module="keras")

MODES = {"vgg16": "caffe", "vgg19": "caffe", "resnet50": "caffe", "inception_v3": "tf",
         "xception": "tf", "mobilenet": "tf", "mobilenet_v2": "tf", "densenet": "torch"}
LOSSES = {"binary_crossentropy": keras.losses.BinaryCrossentropy,
          "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
          "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
          "mean_squared_error": keras.losses.MeanSquaredError,
          "mse": keras.losses.MeanSquaredError}
WEIGHTS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
CONVOLUTIONS = {"VGG16": (2, 2, 3, 3, 3), "VGG19": (2, 2, 4, 4, 4)}


class Preprocess(L.Layer):
    """preprocess_input as a layer."""

    def __init__(self, mode, **kwargs):
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, x):
        return imagenet_utils.preprocess_input(x, mode=self.mode)


def tuples(value):
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value


def make_regularizer(spec):
    if not isinstance(spec, dict):
        return spec
    factors = {key: value for key, value in spec.items() if key != "type"}
    return getattr(keras.regularizers, spec["type"])(**factors)


def make_loss(spec):
    if isinstance(spec, str):
        return LOSSES[spec]()
    arguments = {key: value for key, value in spec.items() if key != "type"}
    return getattr(keras.losses, spec["type"])(**arguments)


def make_optimizer(spec):
    if isinstance(spec, str):
        return keras.optimizers.get(spec)
    arguments = {key: value for key, value in spec.items() if key not in ("type", "continue")}
    rate = arguments.get("learning_rate")
    if isinstance(rate, dict):
        options = {key: value for key, value in rate.items() if key != "type"}
        arguments["learning_rate"] = getattr(keras.optimizers.schedules, rate["type"])(**options)
    return getattr(keras.optimizers, spec["type"])(**arguments)


def continues(phase):
    """Whether the phase goes on with the optimizer of the one before."""
    spec = phase.get("optimizer")
    return spec == "continue" or isinstance(spec, dict) and spec.get("continue", False)


def copy_state(optimizer, to):
    """Steps and slots; both are built on the same weights."""
    def state(made):
        return [value for value in made.variables if value.name != "learning_rate"]

    for old, new in zip(state(optimizer), state(to), strict=True):
        new.assign(old)


def make_metric(spec):
    if isinstance(spec, str):
        return spec
    arguments = {key: value for key, value in spec.items() if key != "type"}
    return getattr(keras.metrics, spec["type"])(**arguments)


def classes_of(y):
    """The class of each label, as Keras's fit takes it for class_weight."""
    y = np.asarray(y)
    if y.ndim > 1:
        y = y.argmax(-1) if y.shape[-1] > 1 else y[:, 0]
    return np.round(y).astype(int)


def class_weights(spec, y):
    """fit's class_weight; None without."""
    if spec != "balanced":
        return spec and {int(key): float(value) for key, value in spec.items()}
    classes, counts = np.unique(classes_of(y), return_counts=True)
    return {int(one): len(y) / (len(classes) * count) for one, count in zip(classes, counts)}


def base_layers(spec):
    """The layers of VGG16 or VGG19 as the list of Keras's base.layers; None for its input layer."""
    made = [None]
    for block, count in enumerate(CONVOLUTIONS[spec["type"]], 1):
        filters = min(64 << (block - 1), 512)
        for conv in range(1, count + 1):
            made.append(L.Conv2D(filters, 3, padding="same", activation="relu",
                                 name=f"block{block}_conv{conv}"))
        made.append(L.MaxPooling2D(2, name=f"block{block}_pool"))
    if spec.get("include_top", True):
        activation = spec.get("classifier_activation", "softmax")
        made += [L.Flatten(name="flatten"), L.Dense(4096, activation="relu", name="fc1"),
                 L.Dense(4096, activation="relu", name="fc2"),
                 L.Dense(spec.get("classes", 1000), activation=activation, name="predictions")]
    elif spec.get("pooling") == "avg":
        made.append(L.GlobalAveragePooling2D())
    elif spec.get("pooling") == "max":
        made.append(L.GlobalMaxPooling2D())
    return cut(made, spec.get("first"), spec.get("last"))


def cut(made, first, last):
    """The layers from first to last, both by name or Python index, both inclusive."""
    def place(at, default):
        if at is None:
            return default
        if isinstance(at, int):
            return at % len(made)
        return next(i for i, layer in enumerate(made) if layer is not None and layer.name == at)

    return made[place(first, 0):place(last, len(made) - 1) + 1]


def make_layer(spec):
    arguments = {key: tuples(value) for key, value in spec.items() if key not in ("type", "inputs")}
    for key in list(arguments):
        if key.endswith("_regularizer"):
            arguments[key] = make_regularizer(arguments[key])
    if spec["type"] == "preprocess_input":
        name = arguments.pop("model", None)
        arguments.setdefault("mode", MODES.get(name, "caffe"))
        return Preprocess(**arguments)
    return getattr(L, spec["type"])(**arguments)


class Net:
    """The Keras model of one model.json, with its weights by tlc's names."""

    def __init__(self, spec):
        keras.backend.clear_session()
        self.spec = spec
        self.bases = {}
        x = first = keras.Input(shape=tuple(spec["input"]["shape"]))
        tensors = {"input": first}
        made = []
        for item in spec["layers"]:
            if item["type"] in CONVOLUTIONS:
                name = item.get("name", item["type"].lower())
                part = base_layers(item)
                self.bases[name] = self.bases.get(name, []) + part
                chain = [layer for layer in part if layer is not None]
            else:
                name, chain = item.get("name"), [make_layer(item)]
            if "inputs" in item:
                inputs = item["inputs"]
                x = tensors[inputs if isinstance(inputs, str) else inputs[0]]
            for layer in chain:
                x = layer(x)
                made.append(layer)
                tensors[layer.name] = x
            tensors[name or chain[-1].name] = x
        self.model = keras.Model(first, x)
        self.layers = made
        self.weights = {f"{layer.name}/{weight.name}": weight
                        for layer in made for weight in layer.weights
                        if weight.name in WEIGHTS}

    def assign(self, values):
        for name, weight in self.weights.items():
            weight.assign(values[name])

    def values(self):
        return {name: weight.numpy() for name, weight in self.weights.items()}

    def frozen(self, pattern):
        """The layers that one freeze pattern names."""
        part = re.fullmatch(r"(\w+)(?:\[([-:\d]+)\])?", pattern)
        if part and part[1] in self.bases:
            bounds = [int(text) if text else None for text in (part[2] or ":").split(":")]
            taken = slice(*bounds) if len(bounds) > 1 else slice(bounds[0], bounds[0] + 1 or None)
            return [layer for layer in self.bases[part[1]][taken] if layer is not None]
        return [layer for layer in self.layers if fnmatch.fnmatchcase(layer.name, pattern)]

    def start(self, name):
        """Begins a phase: what is trainable, the loss, a fresh optimizer."""
        phase = next(item for item in self.spec["phases"] if item["name"] == name)
        self.phase = phase
        self.model.trainable = True
        chosen = [layer for pattern in phase.get("train", []) for layer in self.frozen(pattern)]
        for layer in self.layers:
            layer.trainable = not phase.get("train") or layer in chosen
        for pattern in phase.get("freeze", []):
            for layer in self.frozen(pattern):
                layer.trainable = False
        self.batch = phase.get("batch_size", 32)
        self.start_optimizer(phase)
        naming.reset_uids()  # metrics are numbered anew in each phase
        self.model.compile(optimizer=self.optimizer, loss=make_loss(phase["loss"]),
                           metrics=[make_metric(item) for item in phase.get("metrics", [])])
        self.groups = self.make_groups(phase.get("learning_rate_multipliers", {}))

    def start_optimizer(self, phase):
        """One that others go on with knows all weights: Keras adds none later."""
        before = getattr(self, "optimizer", None)
        if phase["optimizer"] == "continue":
            return
        self.optimizer = make_optimizer(phase["optimizer"])
        if any(continues(item) for item in self.spec["phases"]):
            self.optimizer.build(list(self.weights.values()))
        if continues(phase):
            copy_state(before, self.optimizer)

    def make_groups(self, multipliers):
        """An optimizer for each factor of the learning rate, and what it trains."""
        factors = {}
        for pattern, factor in multipliers.items():
            factors |= {weight.path: factor for layer in self.frozen(pattern)
                        for weight in layer.trainable_weights}
        groups = {}
        for number, weight in enumerate(self.model.trainable_variables):
            groups.setdefault(factors.get(weight.path, 1.0), []).append(number)
        made = []
        for factor, numbers in groups.items():
            optimizer = self.optimizer
            if len(groups) > 1:
                optimizer = make_optimizer(self.phase["optimizer"])
                optimizer.learning_rate = float(optimizer.learning_rate) * factor
            optimizer.build([self.model.trainable_variables[number] for number in numbers])
            made.append((optimizer, numbers))
        return made

    def gradients(self, x, y, weights=None):
        """Loss and gradients of one training step, as Keras's own train_step takes them."""
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(x, y, self.model(x, training=True),
                                           sample_weight=weights, training=True)
        return loss, tape.gradient(loss, self.model.trainable_variables)

    def named(self, gradients):
        names = {id(weight): name for name, weight in self.weights.items()}
        return {names[id(weight)]: value.numpy()
                for weight, value in zip(self.model.trainable_variables, gradients)}

    def first_gradients(self, x, y, compiled=False):
        """The gradients of the first batch of the phase, by weight name."""
        step = tf.function(self.gradients) if compiled else self.gradients
        weights = self.sample_weights(y)
        weights = None if weights is None else weights[: self.batch]
        return self.named(step(x[: self.batch], y[: self.batch], weights)[1])

    def sample_weights(self, y):
        weights = class_weights(self.phase.get("class_weight"), y)
        if weights is None:
            return None
        return np.array([weights.get(one, 1.0) for one in classes_of(y)], np.float32)

    def train(self, x, y, steps, compiled=False):
        """The loss of each of so many steps over the batches in order, again and again."""
        def update(rows, labels, weights):
            loss, gradients = self.gradients(rows, labels, weights)
            for optimizer, numbers in self.groups:
                optimizer.apply([gradients[number] for number in numbers],
                                [self.model.trainable_variables[number] for number in numbers])
            return loss

        step = tf.function(update) if compiled else update
        starts, weights = range(0, len(x), self.batch), self.sample_weights(y)
        losses = []
        for number in range(steps):
            at = starts[number % len(starts)]
            rows = slice(at, at + self.batch)
            losses.append(float(step(x[rows], y[rows], None if weights is None else weights[rows])))
        return losses

    def fit(self, x, y, epochs):
        """What Keras's own fit shows of each epoch, validated on the same data."""
        history = self.model.fit(x, y, batch_size=self.batch, epochs=epochs, shuffle=False,
                                 validation_data=(x, y), verbose=0,
                                 class_weight=class_weights(self.phase.get("class_weight"), y))
        return {name: np.array(values) for name, values in history.history.items()}

    def predict(self, x, compiled=False):
        call = tf.function(self.model.call) if compiled else self.model
        parts = [call(x[at: at + 8], training=False).numpy() for at in range(0, len(x), 8)]
        return parts[0] if len(parts) == 1 else tf.concat(parts, 0).numpy()
