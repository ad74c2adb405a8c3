"""Makes the small pictures of tests/unit/pictures in every colour mode, and records what Keras makes
of them: pictures.py FOLDER writes the files and keras.npz, whose arrays are named
FILE/INTERPOLATION/CHANNELS. Bilinear is image_dataset_from_directory, nearest is load_img."""

import os
import struct
import sys
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

WIDTH, HEIGHT = 23, 17
SIZE = (6, 9)  # height, width of the recordings


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def write_png(path, depth, color, rows, *chunks):
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, 0)
    raw = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", raw), chunk(b"IEND", b"")]
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def make_pictures(folder):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([120 + 110 * np.sin(x / 3), 128 + 120 * np.cos(y / 2 + x / 5), x * 9 + y * 3], -1)
    rgb = Image.fromarray(pixels.astype("u1"))
    alpha = Image.fromarray((x * 11).astype("u1"))
    wide = (pixels * 257).astype(">u2")

    def save(image, name, **options):
        image.save(os.path.join(folder, name), **options)

    for sampling, name in enumerate(["444", "422", "420"]):
        save(rgb, f"rgb_{name}.jpg", quality=85, subsampling=sampling)
    save(rgb, "progressive.jpg", quality=70, progressive=True)
    save(rgb.convert("L"), "grey.jpg", quality=80)
    save(rgb.convert("CMYK"), "cmyk.jpg", quality=80)
    save(rgb, "rgb.png")
    save(rgb.convert("L"), "grey.png")
    rgba = rgb.convert("RGBA")
    rgba.putalpha(alpha)
    save(rgba, "alpha.png")
    save(Image.merge("LA", (rgb.convert("L"), alpha)), "grey_alpha.png")
    save(rgb.quantize(40), "palette.png", transparency=3)
    save(rgb.quantize(7), "palette_4bit.png", bits=4)
    save(rgb.convert("1"), "bits.png")
    write_png(os.path.join(folder, "rgb16.png"), 16, 2, [row.tobytes() for row in wide])
    rows = [row.tobytes() for row in pixels.astype("u1")]
    write_png(os.path.join(folder, "gamma.png"), 8, 2, rows, chunk(b"gAMA", struct.pack(">I", 45455)))


def bilinear(path, channels):
    pixels = tf.image.decode_image(tf.io.read_file(path), channels, expand_animations=False)
    return tf.image.resize(pixels, SIZE, "bilinear").numpy()


def nearest(path, channels):
    mode = "rgb" if channels == 3 else "grayscale"
    image = keras.utils.load_img(path, color_mode=mode, target_size=SIZE, interpolation="nearest")
    return keras.utils.img_to_array(image)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    make_pictures(folder)
    recorded = {}
    for name in sorted(os.listdir(folder)):
        if name == "keras.npz":
            continue
        path = os.path.join(folder, name)
        for channels in 1, 3:
            recorded[f"{name}/nearest/{channels}"] = nearest(path, channels).astype("u1")
            if (name, channels) != ("cmyk.jpg", 1):  # TensorFlow refuses these
                recorded[f"{name}/bilinear/{channels}"] = bilinear(path, channels)
    np.savez_compressed(os.path.join(folder, "keras.npz"), **recorded)


if __name__ == "__main__":
    main(sys.argv[1])
