"""The network that every peer runs: VGG16 with its classes, the model of vgg16.json, with the
weights that tlc's program starts from."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "parity"))
from seeded import initial_weight, pixels  # noqa: E402

SIZE, CHANNELS, CLASSES = 224, 3, 1000
SEED = 0
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters and number of convolutions
DENSE = (("fc1", 4096), ("fc2", 4096), ("predictions", CLASSES))


def weights(name, *shape):
    """Kernel and bias of a layer."""
    return (initial_weight(f"{name}/kernel", shape, SEED),
            initial_weight(f"{name}/bias", shape[-1:], SEED))


def convolutions():
    """Per block, its layers (name, kernel (3, 3, in, out), bias); a 2x2 max pool ends a block."""
    channels = CHANNELS
    for block, (filters, count) in enumerate(BLOCKS, 1):
        made = []
        for number in range(1, count + 1):
            name = f"block{block}_conv{number}"
            made.append((name, *weights(name, 3, 3, channels, filters)))
            channels = filters
        yield made


def dense_layers():
    """The layers as (name, kernel (in, out), bias); fc1 reads the last pool as (7, 7, 512)."""
    features = (SIZE >> len(BLOCKS)) ** 2 * BLOCKS[-1][0]
    for name, units in DENSE:
        yield (name, *weights(name, features, units))
        features = units


def pictures(batch):
    return pixels((batch, SIZE, SIZE, CHANNELS), SEED)
