"""Keras on TensorFlow, on the CPU. Of the ways to call a model, that which was fastest in a trial:
a function of TensorFlow's, compiled by XLA for one picture and not for more."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow  # noqa: E402

import network  # noqa: E402
from peer import BasePeer, BaseTrainer  # noqa: E402


def prepare_process(threads, precision):
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")


class Peer(BasePeer):
    name = "Keras"
    precisions = ("fp32", "bf16")
    start = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import keras, numpy, tensorflow
folder, threads, picture = sys.argv[1:]
tensorflow.config.threading.set_intra_op_parallelism_threads(int(threads))
model = keras.applications.VGG16(weights=None)
model.load_weights(folder + "/vgg16.weights.h5")
print(numpy.argmax(model(numpy.load(picture), training=False)), flush=True)
"""

    @classmethod
    def prepare(cls, folder, network_folder):
        if not (folder / "vgg16.weights.h5").exists():
            model = keras.applications.VGG16(weights=None)
            layers = [layer for block in network.convolutions(network_folder) for layer in block]
            for name, kernel, bias in layers + network.dense_layers(network_folder):
                model.get_layer(name).set_weights([kernel, bias])
            model.save_weights(folder / "vgg16.weights.h5")
        return {}

    def __init__(self, folder, batch, threads, precision):
        prepare_process(threads, precision)
        model = keras.applications.VGG16(weights=None)
        model.load_weights(folder / "vgg16.weights.h5")
        self.function = tensorflow.function(lambda x: model(x, training=False),
                                            jit_compile=batch == 1)

    def version(self):
        return f"keras {keras.__version__}, tensorflow {tensorflow.__version__}"

    def place(self, pictures):
        return tensorflow.constant(pictures)

    def run(self, placed):
        return self.function(placed).numpy()

    def array(self, output):
        return np.asarray(output, np.float32)


class Trainer(BaseTrainer):
    precisions = ("fp32", "bf16")

    def __init__(self, what, pictures, labels, threads, precision):
        prepare_process(threads, precision)
        self.model = make_model(what, pictures.shape[1:])
        self.model.compile(keras.optimizers.RMSprop(1e-5), "binary_crossentropy",
                           metrics=["accuracy"], jit_compile=False)  # by XLA: not tried
        self.pictures = tensorflow.constant(pictures)
        self.labels = tensorflow.constant(labels)

    def step(self):
        return float(self.model.train_on_batch(self.pictures, self.labels)[0])


def make_model(what, shape):
    layers, base = keras.layers, keras.applications.VGG16(include_top=False, weights=None,
                                                          input_shape=shape)
    frozen = {"head": len(base.layers), "block5": -4, "all": 0}[what]
    for layer in base.layers[:frozen]:
        layer.trainable = False
    inputs = keras.Input(shape)
    x = layers.RandomFlip("horizontal", dtype="float32")(inputs)
    x = layers.RandomRotation(0.1, dtype="float32")(x)
    x = layers.RandomZoom(0.2, dtype="float32")(x)
    x = layers.Flatten()(base(keras.applications.vgg16.preprocess_input(x)))
    x = layers.Dropout(0.5)(layers.Dense(256)(x))
    return keras.Model(inputs, layers.Dense(1, "sigmoid", dtype="float32")(x))
