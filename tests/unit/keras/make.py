"""Writes the weight files of this folder with Keras itself: python make.py (needs keras, h5py).

The model is that of tests/unit/small_model.h; weight i holds 100 i, 100 i + 1, ...
"""
import shutil

import h5py
import keras
import numpy
from keras import layers


def base_layers():
    return [layers.Conv2D(3, 1, name="block1_conv1"), layers.Conv2D(3, 1, name="block1_conv2"),
            layers.MaxPooling2D(2, name="block1_pool")]


def head_layers():
    return [layers.Flatten(name="flatten"), layers.Dense(2, name="fc"),
            layers.Dropout(0.5, name="dropout"), layers.Dense(2, name="out")]


def fill(model):
    names = ["block1_conv1", "block1_conv2", "fc", "out"]
    found = {}
    for layer in model.layers:
        for inner in getattr(layer, "layers", [layer]):
            found[inner.name] = inner
    for i, name in enumerate(names):
        if name in found:
            found[name].set_weights([
                (100 * (2 * i + j) + numpy.arange(w.size)).reshape(w.shape)
                for j, w in enumerate(found[name].get_weights())])
    return model


def functional(stack, name):
    image = x = keras.Input((2, 2, 3))
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x, name=name)


def nested():
    base = functional(base_layers(), "vgg16")
    base.layers[1].trainable = False  # its weights go to the end of the base's list
    return fill(functional([base] + head_layers(), "pets"))


def flat():
    return fill(keras.Sequential([keras.Input((2, 2, 3))] + base_layers() + head_layers()))


def normed():
    """For tests/unit/batch_norm.c. A file's order is its own: moving averages go behind the rest."""
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(scale=False, name="bare"),
                              layers.Dense(2, name="out"), layers.BatchNormalization(name="norm")])
    for i, weight in enumerate(w for layer in model.layers for w in layer.weights):
        weight.assign((100 * i + numpy.arange(weight.shape.num_elements())).reshape(weight.shape))
    return model


def strip_names(old, new):
    """As Keras before 3.10 wrote it."""
    shutil.copy(old, new)
    with h5py.File(new, "a") as file:
        groups = []
        file.visititems(lambda _, item: groups.append(item))
        for group in groups:
            group.attrs.pop("name", None)


nested().save("nested.h5")
nested().save_weights("nested.weights.h5")
flat().save("sequential.h5")
flat().save_weights("sequential.weights.h5")
fill(functional(base_layers(), "vgg16")).save_weights("base.weights.h5")
normed().save("batch_norm.h5")
normed().save_weights("batch_norm.weights.h5")
for kind in ("nested", "sequential", "base"):
    strip_names(kind + ".weights.h5", kind + "_unnamed.weights.h5")
