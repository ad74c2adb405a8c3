"""Transfer learning on photos, in Keras and by tlc: validation accuracies that should agree.

    DATA=photos WEIGHTS=vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 pets.py

DATA holds train/ and validation/, each with two class folders. VGG16 up to block5_pool on 180x180,
frozen; Flatten, Dense 256, Dropout 0.5, Dense 1; RMSprop, 20 epochs, batches of 32; without
augmentation, so that Keras may compute the features once. Passes if tlc's validation accuracy is at
least 0.95 and within 0.02 of Keras's.
"""

import json
import os
import pathlib
import sys

import numpy as np

from model import keras
from programs import BUILD, compile_model, run

WORK = BUILD / "parity" / "pets"
SIZE, EPOCHS, BATCH = (180, 180), 20, 32
SPEC = {
    "name": "pets",
    "input": {"shape": [*SIZE, 3]},
    "layers": [
        {"type": "preprocess_input", "model": "vgg16"},
        {"type": "VGG16", "include_top": False, "weights": os.environ.get("WEIGHTS")},
        {"type": "Flatten"},
        {"type": "Dense", "units": 256, "name": "fc"},
        {"type": "Dropout", "rate": 0.5},
        {"type": "Dense", "units": 1, "activation": "sigmoid", "name": "out"},
    ],
    "phases": [
        {"name": "head", "freeze": ["vgg16"], "loss": "binary_crossentropy",
         "optimizer": {"type": "RMSprop", "learning_rate": 0.001}, "metrics": ["accuracy"],
         "epochs": EPOCHS, "batch_size": BATCH},
    ],
}


def extract(base, folder):
    """Features and labels of a folder of class folders."""
    data = keras.utils.image_dataset_from_directory(
        folder, label_mode="binary", shuffle=False, image_size=SIZE, batch_size=8, verbose=False)
    parts = [(base(keras.applications.vgg16.preprocess_input(x), training=False), y)
             for x, y in data]
    return [np.concatenate(arrays) for arrays in zip(*parts)]


def by_keras(data, seeds=3):
    """Validation accuracy after each epoch, a row for each seed."""
    base = keras.applications.VGG16(include_top=False, weights=os.environ["WEIGHTS"],
                                    input_shape=(*SIZE, 3))
    train, validation = extract(base, data / "train"), extract(base, data / "validation")
    rows = []
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([
            keras.layers.Flatten(), keras.layers.Dense(256), keras.layers.Dropout(0.5),
            keras.layers.Dense(1, activation="sigmoid")])
        model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
        fit = model.fit(*train, epochs=EPOCHS, batch_size=BATCH, validation_data=validation,
                        verbose=0)
        rows.append(fit.history["val_accuracy"])
        print(f"pets: Keras, seed {seed}: last {rows[-1][-1]:.4f}, best {max(rows[-1]):.4f}",
              flush=True)
    return np.array(rows)


def by_tlc(data):
    """Validation accuracy of the last epoch's weights."""
    program = compile_model(SPEC, WORK)
    run("train", program, "train", "--data", data, "--fresh", "--out", WORK / "run")
    scores = run("evaluate", program, "evaluate", "--data", data / "validation",
                 "--weights", WORK / "run" / "last.safetensors", "--json")
    return json.loads(scores)["accuracy"]


def main():
    missing = [name for name in ("DATA", "WEIGHTS") if name not in os.environ]
    if missing:
        print(f"pets: skipped: {' and '.join(missing)} not given")
        return 77
    data = pathlib.Path(os.environ["DATA"])
    if not (data / "train").is_dir() or not (data / "validation").is_dir():
        print(f"pets: skipped: no train/ and validation/ in {data}")
        return 77
    theirs = by_keras(data)[:, -1].mean()
    ours = by_tlc(data)
    good = ours >= 0.95 and abs(ours - theirs) <= 0.02
    print(f"{'ok' if good else 'FAIL'} pets: validation accuracy {ours:.4f}, Keras {theirs:.4f}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
