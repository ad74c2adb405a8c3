"""Random small models that tlc and Keras both accept, and ways to make a model smaller."""

import copy
import json

ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax")
GRADIENT = {"type": "SGD", "learning_rate": 1.0, "momentum": 0.9}


def out_size(size, window, stride, padding):
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


class Maker:
    """Draws one model. height, width, channels follow the picture through the layers."""

    def __init__(self, name, random):
        self.name, self.random = name, random

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def chance(self, share):
        return self.random.random() < share

    def between(self, low, high):
        return int(self.random.integers(low, high + 1))

    def regularizers(self, layer):
        if self.chance(0.1):
            layer["kernel_regularizer"] = self.pick("l2", {"type": "L2", "l2": 0.03}, "l1",
                                                     {"type": "L1L2", "l1": 0.002, "l2": 0.01})
        return layer

    def padded(self, layer, window, stride):
        """Adds a padding that fits and follows the shape; window and stride are (rows, columns)."""
        fits = window[0] <= self.height and window[1] <= self.width
        layer["padding"] = self.pick("same", "valid") if fits else "same"
        self.height = out_size(self.height, window[0], stride[0], layer["padding"])
        self.width = out_size(self.width, window[1], stride[1], layer["padding"])
        return layer

    def convolution(self):
        kernel = [self.pick(1, 2, 3, 3, 3, 5), self.pick(1, 2, 3, 3, 3, 4)]
        if self.chance(0.5):
            kernel[1] = kernel[0]
        layer = {"type": "Conv2D", "filters": self.pick(1, 3, 5, 8, 16, 17, 24),
                 "kernel_size": kernel, "activation": self.pick("linear", "relu", "relu", "tanh")}
        stride, dilation = [1, 1], [1, 1]
        if self.chance(0.3):  # no stride over the kernel: TensorFlow 2.21 writes out of bounds
            stride = layer["strides"] = [min(self.between(1, 3), *kernel)] * 2
        elif self.chance(0.25):
            dilation = layer["dilation_rate"] = [self.between(1, 3), self.between(1, 2)]
        if self.chance(0.2):
            layer["use_bias"] = False
        self.channels = layer["filters"]
        window = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        return self.padded(self.regularizers(layer), window, stride)

    def pooling(self):
        window = [self.between(1, 3), self.between(2, 3)]
        layer = {"type": self.pick("MaxPooling2D", "AveragePooling2D"), "pool_size": window}
        stride = window
        if self.chance(0.5):
            stride = layer["strides"] = [self.between(1, 3), self.between(1, 3)]
        return self.padded(layer, window, stride)

    def zeros(self):
        sides = [[self.between(0, 2), self.between(0, 2)] for _ in range(2)]
        self.height += sum(sides[0])
        self.width += sum(sides[1])
        return {"type": "ZeroPadding2D", "padding": sides}

    def elementwise(self):
        return self.pick({"type": "Activation", "activation": self.pick(*ACTIVATIONS)},
                         {"type": "ReLU", "max_value": 1.5, "negative_slope": 0.1},
                         {"type": "ReLU"}, {"type": "Dropout", "rate": 0.0}, {"type": "Softmax"},
                         {"type": "BatchNormalization", "momentum": 0.8, "scale": self.chance(0.5)},
                         {"type": "Rescaling", "scale": 0.5, "offset": 0.25})

    def body(self):
        """Layers on pictures; a trained convolution among them more often than not."""
        makers = (self.convolution,) * 4 + (self.pooling,) * 2 + (self.zeros, self.elementwise)
        return [makers[self.random.integers(len(makers))]() for _ in range(self.between(1, 5))]

    def start(self):
        """The first layers: a part of VGG16, a preprocessing, or nothing."""
        kind = self.random.random()
        if kind < 0.06:
            self.height, self.width, self.channels = self.between(32, 37), 32, 3
            shape = [self.height, self.width, 3]
            last = self.pick("block1_pool", "block1_conv2", "block2_conv1")
            half = last != "block1_conv2"
            self.height, self.width = self.height >> half, self.width >> half
            return shape, [{"type": "preprocess_input", "model": "vgg16"},
                           {"type": "Rescaling", "scale": 0.02},
                           {"type": "VGG16", "include_top": False, "weights": None, "last": last}]
        self.height, self.width = self.between(3, 18), self.between(3, 18)
        self.channels = self.pick(1, 3)
        shape = [self.height, self.width, self.channels]
        if kind < 0.2:
            return shape, [{"type": "Rescaling", "scale": 1 / 127.5, "offset": -1}]
        return shape, []

    def head(self, units, activation):
        layers = [self.pick({"type": "Flatten"}, {"type": "Flatten"},
                            {"type": "GlobalAveragePooling2D"}, {"type": "GlobalMaxPooling2D"})]
        if self.chance(0.5):
            layers.append(self.regularizers({"type": "Dense", "units": self.pick(1, 4, 16, 33),
                                             "activation": self.pick("relu", "tanh", "sigmoid")}))
        if self.chance(0.2):
            layers.append({"type": "Dropout", "rate": 0.0})
        last = {"type": "Dense", "units": units, "name": "out"}
        if activation == "layer":
            return layers + [last, {"type": "Activation", "activation": "sigmoid" if units == 1
                                    else "softmax"}]
        return layers + [{**last, "activation": activation} if activation else last]

    def loss(self):
        """A loss, and the units and activation that it goes with."""
        smoothing = {"label_smoothing": 0.1} if self.chance(0.3) else {}
        kind = self.between(0, 5)
        if kind == 0:
            return "mean_squared_error", self.between(1, 5), self.pick(None, "sigmoid", "tanh")
        if kind == 1:
            return {"type": "BinaryCrossentropy", **smoothing}, self.between(1, 3), "sigmoid"
        if kind == 2:
            return "binary_crossentropy", 1, "layer"
        if kind == 3:
            logits = self.chance(0.5)
            return ({"type": "CategoricalCrossentropy", "from_logits": logits, **smoothing},
                    self.between(2, 6), None if logits else "softmax")
        if kind == 4:
            return "sparse_categorical_crossentropy", self.between(2, 6), "softmax"
        return "categorical_crossentropy", self.between(2, 6), "layer"

    def optimizer(self):
        return self.pick({"type": "SGD", "learning_rate": 0.01},
                         {"type": "SGD", "learning_rate": 0.02, "momentum": 0.9},
                         {"type": "SGD", "learning_rate": 0.01, "momentum": 0.8, "nesterov": True},
                         {"type": "RMSprop", "learning_rate": 0.001},
                         {"type": "RMSprop", "learning_rate": 0.001, "rho": 0.8, "momentum": 0.5},
                         {"type": "Adam"},
                         {"type": "Adam", "learning_rate": 0.003, "beta_1": 0.8, "epsilon": 1e-5},
                         {"type": "AdamW", "learning_rate": 0.002, "weight_decay": 0.05})

    def freeze(self, layers):
        """Patterns that leave at least the last dense layer to train."""
        named = [layer for layer in layers if layer["type"] == "Conv2D"]
        if self.chance(0.5) or not named:
            return []
        for number, layer in enumerate(named):
            layer["name"] = f"conv{number}"
        patterns = [layer["name"] for layer in named if self.chance(0.5)] or ["conv*"]
        bases = [layer["type"].lower() for layer in layers if layer["type"] == "VGG16"]
        return patterns + [self.pick(base, base + "[:2]") for base in bases]

    def model(self):
        shape, layers = self.start()
        layers += self.body()
        loss, units, activation = self.loss()
        layers += self.head(units, activation)
        common = {"loss": loss, "epochs": 1, "batch_size": self.between(1, 9)}
        freeze = self.freeze(layers)
        if freeze:
            common["freeze"] = freeze
        return {"name": self.name, "input": {"shape": shape}, "layers": layers,
                "phases": [{"name": "grad", "optimizer": GRADIENT, **common},
                           {"name": "train", "optimizer": self.optimizer(), **common}]}


def smaller(spec):
    """Models one change away from spec, each simpler; not all of them make sense."""
    def changed(change):
        made = copy.deepcopy(spec)
        change(made)
        return made

    for index in range(len(spec["layers"])):
        yield changed(lambda made: made["layers"].pop(index))
    if "freeze" in spec["phases"][0]:
        yield changed(lambda made: [phase.pop("freeze") for phase in made["phases"]])
    plain = {"type": "SGD", "learning_rate": 0.01}
    yield changed(lambda made: made["phases"][1].update(optimizer=plain))
    yield changed(lambda made: [phase.update(batch_size=1) for phase in made["phases"]])
    for index, layer in enumerate(spec["layers"]):
        for key in set(layer) - {"type", "name", "units", "filters", "kernel_size", "model"}:
            yield changed(lambda made: made["layers"][index].pop(key))
        for key in ("filters", "units"):
            if layer.get(key, 1) > 1 and layer.get("name") != "out":
                yield changed(lambda made: made["layers"][index].update({key: 1}))
    for side in (0, 1):
        if spec["input"]["shape"][side] > 3:
            yield changed(lambda made: made["input"]["shape"].__setitem__(
                side, (made["input"]["shape"][side] + 3) // 2))


def size_of(spec):
    return len(json.dumps(spec))
