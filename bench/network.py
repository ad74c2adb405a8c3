"""The network that every peer runs: VGG16 with its classes, and the pictures that it is shown.

All numbers lie in one folder: weights.safetensors, pictures.npy. Without files of the user's they
are made from a seed so that the work is that of photographs: the pictures have the spectrum of
photographs, and 85 of 100 inputs of fc1 are zero, as with VGG16's own weights.
"""

import json
import pathlib
import struct
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "parity"))
from seeded import initial_weight, write_safetensors  # noqa: E402

SIZE, CHANNELS, CLASSES = 224, 3, 1000
SEED = 0
PICTURES = 8
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters and number of convolutions
DENSE = (("fc1", 4096), ("fc2", 4096), ("predictions", CLASSES))
MEANS = (103.939, 116.779, 123.68)  # of blue, green and red over ImageNet
ZEROS = 0.85


def layer_shapes():
    """(name, shape of the kernel), in order."""
    channels = CHANNELS
    for block, (filters, count) in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            yield f"block{block}_conv{number}", (3, 3, channels, filters)
            channels = filters
    features = (SIZE >> len(BLOCKS)) ** 2 * channels
    for name, units in DENSE:
        yield name, (features, units)
        features = units


# ---- Pictures ------------------------------------------------------------------------------------

def read_photos(folder):
    from PIL import Image
    paths = sorted(path for path in pathlib.Path(folder).rglob("*")
                   if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if len(paths) < PICTURES:
        raise SystemExit(f"bench: {folder}: {len(paths)} photographs, {PICTURES} are needed")
    step = len(paths) // PICTURES
    return np.stack([np.asarray(Image.open(path).convert("RGB").resize((SIZE, SIZE)), np.float32)
                     for path in paths[::step][:PICTURES]])


def make_photos():
    """Amplitudes fall with the frequency, as they do in photographs; phases are random."""
    random = np.random.default_rng(SEED)
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE)[None, :])
    amplitude = 1 / np.maximum(frequency, 1 / SIZE)
    noise = random.standard_normal((PICTURES, CHANNELS, SIZE, SIZE))
    grey = np.fft.ifft2(np.fft.fft2(noise + 2 * noise[:, :1]) * amplitude).real
    grey /= grey.std(axis=(1, 2, 3), keepdims=True)
    return np.clip(120 + 60 * grey, 0, 255).astype(np.float32).transpose(0, 2, 3, 1)


def preprocess(photos):
    """What VGG16 is fed: blue, green, red, less their means."""
    return photos[..., ::-1] - np.array(MEANS, np.float32)


# ---- Weights -------------------------------------------------------------------------------------

def read_layers(path):
    """(kernel, bias) by name, of a weight file of Keras's in HDF5; without the dense layers too."""
    import h5py
    layers = {}
    with h5py.File(path) as file:
        def note(name, found):
            layer = name.split("/")[0]
            if isinstance(found, h5py.Dataset) and layer.startswith(("block", *dict(DENSE))):
                layers.setdefault(layer, []).append(np.asarray(found, np.float32))
        file.visititems(note)
    return {name: sorted(found, key=lambda array: -array.ndim) for name, found in layers.items()}


def make_layer(name, shape):
    """Uniform as He's, so that numbers neither vanish nor grow; the last ones are less, so that no
    probability vanishes. Biases are zero."""
    scale = np.float32(np.sqrt((shape[-2] + shape[-1]) / shape[-2]))
    if shape[-1] == CLASSES:
        scale *= np.float32(0.1)
    return [scale * initial_weight(f"{name}/kernel", shape, SEED), np.zeros(shape[-1], np.float32)]


def convolve(x, kernel, bias):
    """(H, W, C): 3x3, same padding, no activation."""
    height, width = x.shape[:2]
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    return bias + sum(padded[i:i + height, j:j + width] @ kernel[i, j]
                      for i in range(3) for j in range(3))


def pool(x):
    height, width, channels = x.shape
    return x.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))


def last_pool(layers, picture):
    """What fc1 reads, before the last ReLU."""
    x = picture
    for block, (_, count) in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            x = convolve(np.maximum(x, 0) if block + number > 2 else x,
                         *layers[f"block{block}_conv{number}"])
        x = pool(x)
    return x


def shift_last_biases(layers, pictures):
    """Shifts them so that ZEROS of each channel are zero over these pictures."""
    x = np.stack([last_pool(layers, picture) for picture in pictures])
    layers["block5_conv3"][1] -= np.quantile(x, ZEROS, axis=(0, 1, 2)).astype(np.float32)


# ---- Both ----------------------------------------------------------------------------------------

def make(folder, weights=None, photos=None):
    """Makes the files of the folder, unless they are there; what they are, in words."""
    told = folder / "what.txt"
    if told.exists():
        return told.read_text()
    folder.mkdir(parents=True, exist_ok=True)
    pictures = preprocess(read_photos(photos) if photos else make_photos())
    given = read_layers(weights) if weights else {}
    layers = {name: given.get(name) or make_layer(name, shape) for name, shape in layer_shapes()}
    if not weights:
        shift_last_biases(layers, pictures)
    zeros = np.mean([last_pool(layers, picture) <= 0 for picture in pictures])
    tensors = {f"{name}/{part}": array for name, layer in layers.items()
               for part, array in zip(("kernel", "bias"), layer)}
    write_safetensors(folder / "weights.safetensors", tensors)
    np.save(folder / "pictures.npy", pictures)
    np.save(folder / "picture.npy", pictures[:1])
    made = [name for name in layers if name not in given]
    text = (f"{'Photographs' if photos else 'Made-up pictures with the spectrum of photographs'}; "
            + (f"weights of {pathlib.Path(weights).name}" if weights else "seeded weights")
            + (f", seeded for {', '.join(made)}" if weights and made else "")
            + f"; {100 * zeros:.0f} % of fc1's inputs are zero.")
    told.write_text(text)
    return text


def tensors(folder):
    """All weights by name, mapped, not read."""
    path = folder / "weights.safetensors"
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return {name: np.memmap(path, "<f4", "r", 8 + size + entry["data_offsets"][0],
                            tuple(entry["shape"])) for name, entry in header.items()}


def convolutions(folder):
    """Per block, its layers (name, kernel (3, 3, in, out), bias); a 2x2 max pool ends a block."""
    found = tensors(folder)
    for block, (_, count) in enumerate(BLOCKS, 1):
        names = [f"block{block}_conv{number}" for number in range(1, count + 1)]
        yield [(name, found[f"{name}/kernel"], found[f"{name}/bias"]) for name in names]


def dense_layers(folder):
    """The layers as (name, kernel (in, out), bias); fc1 reads the last pool as (7, 7, 512)."""
    found = tensors(folder)
    return [(name, found[f"{name}/kernel"], found[f"{name}/bias"]) for name, _ in DENSE]


def rows_by_channel(kernel):
    """fc1's kernel for peers that flatten (512, 7, 7)."""
    side = SIZE >> len(BLOCKS)
    return kernel.reshape(side, side, -1, kernel.shape[-1]).transpose(2, 0, 1, 3).reshape(
        kernel.shape)


def pictures(folder, batch):
    """(batch, 224, 224, 3), as VGG16 is fed."""
    return np.resize(np.load(folder / "pictures.npy", mmap_mode="r")[:batch],
                     (batch, SIZE, SIZE, CHANNELS))
