"""Pictures as tlc's programs read them, against Keras: every pixel of ten JPEGs within 1 of 255.

    images.py

DATA names a folder with JPEGs (below it, at any depth); without it ten are made here: gradients and
noise, odd sizes, several kinds of chroma subsampling, grey ones. Bilinear is compared with
image_dataset_from_directory, nearest with load_img, and preprocess_input with its three modes.
"""

import os
import pathlib
import shutil
import sys

import numpy as np
from PIL import Image

from model import keras, imagenet_utils
from programs import BUILD, Failure, compile_model, run

WORK = BUILD / "parity" / "images"
COUNT = 10


def make_pictures(folder):
    """Ten JPEGs of smooth colours under noise."""
    random = np.random.default_rng(1)
    for number in range(COUNT):
        height, width = random.integers(40, 500, 2)
        rows, columns = np.mgrid[0:height, 0:width]
        waves = [np.sin(rows / (9 + 7 * c) + number) * np.cos(columns / (31 - 8 * c))
                 for c in range(3)]
        noise = random.normal(scale=12, size=(height, width, 3))
        pixels = np.clip(np.stack(waves, -1) * 90 + 128 + noise, 0, 255).astype(np.uint8)
        picture = Image.fromarray(pixels).convert("L" if number % 5 == 4 else "RGB")
        picture.save(folder / f"{number}.jpg", quality=60 + 4 * number, subsampling=number % 3,
                     progressive=number % 4 == 3)


def gather_pictures():
    """The ten JPEGs, in two class folders as Keras wants them; their paths in Keras's order."""
    shutil.rmtree(WORK, ignore_errors=True)
    source = pathlib.Path(os.environ.get("DATA", WORK / "made"))
    if "DATA" not in os.environ:
        source.mkdir(parents=True)
        make_pictures(source)
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    chosen = found[:: max(len(found) // COUNT, 1)][:COUNT]
    for number, path in enumerate(chosen):
        place = WORK / "data" / ("a" if number < COUNT // 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place / f"{number}.jpg")
    return sorted((WORK / "data").rglob("*.jpg"))


def by_tlc(name, size, channels=3, interpolation="bilinear", layer=None):
    """The output of a model that does nothing else than read, or one layer more."""
    spec = {"name": name, "input": {"shape": [*size, channels], "interpolation": interpolation},
            "layers": [layer or {"type": "Rescaling", "scale": 1.0}]}
    program = compile_model(spec, WORK / name)
    run("features", program, "features", "--data", WORK / "data", "-o", WORK / name / "x.npy")
    return np.load(WORK / name / "x.npy").reshape(-1, *size, channels)


def by_dataset(size, channels=3):
    data = keras.utils.image_dataset_from_directory(
        WORK / "data", label_mode=None, shuffle=False, image_size=size, batch_size=COUNT,
        color_mode="rgb" if channels == 3 else "grayscale", verbose=False)
    return next(iter(data)).numpy()


def by_load_img(paths, size):
    return np.stack([keras.utils.img_to_array(keras.utils.load_img(path, target_size=size))
                     for path in paths])


def show(name, ours, theirs, scale=1.0):
    """Prints the largest difference, in units of 0..255; true if it is allowed."""
    off = np.abs(ours - theirs).max() / scale if ours.shape == theirs.shape else np.inf
    print(f"{'ok' if off <= 1 else 'FAIL'} images {name}: largest difference {off:.3g} of 255")
    return off <= 1


def compare_reading(paths):
    for size in ((180, 180), (97, 211), (480, 640)):
        name = f"bilinear_{size[0]}x{size[1]}"
        yield show(name, by_tlc(name, size), by_dataset(size))
        name = f"nearest_{size[0]}x{size[1]}"
        yield show(name, by_tlc(name, size, interpolation="nearest"), by_load_img(paths, size))
    yield show("grey", by_tlc("grey", (180, 180), 1), by_dataset((180, 180), 1))


def compare_preprocessing():
    size = (150, 150)
    plain = by_dataset(size)
    for mode, model, scale in (("caffe", "vgg16", 1), ("tf", "mobilenet", 1 / 127.5),
                               ("torch", "densenet", 1 / 255 / 0.225)):
        ours = by_tlc(mode, size, layer={"type": "preprocess_input", "model": model})
        yield show(mode, ours, imagenet_utils.preprocess_input(plain.copy(), mode=mode), scale)


def main():
    paths = gather_pictures()
    try:
        results = [*compare_reading(paths), *compare_preprocessing()]
    except Failure as failure:
        print(f"FAIL images: {failure.stage}: {failure}")
        return 1
    print(f"images: {sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
