"""Numbers that both sides have: Philox4x32-10 as in runtime/rng.c, vectorised; and weight files.

initial_weight gives, bit for bit, the GlorotUniform values that a generated program starts from
with the same --seed, so that large weights need not be kept. pixels gives the pictures that
tests/golden/compare.c makes from a seed.
"""

import json
import struct

import numpy as np

PURPOSE_INITIALIZE = 0xFFFFFFFE
PURPOSE_PIXELS = 0xDA7A


def philox(seed, c0, c1, c2, c3):
    """Four words for each element of the counter c0; c1, c2, c3 are single words."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    c0 = c0.astype(np.uint64)
    c1, c2, c3 = (np.full(c0.shape, word, np.uint64) for word in (c1, c2, c3))
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1 = (p1 >> half) ^ c1 ^ np.uint64(key0), p1 & low
        c2, c3 = (p0 >> half) ^ c3 ^ np.uint64(key1), p0 & low
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], -1)


def words(seed, count, c1, c2, c3):
    """The first count words of one stream, as a flat array."""
    chunk = 1 << 22
    parts = [philox(seed, np.arange(at, min(at + chunk, (count + 3) // 4)), c1, c2, c3).ravel()
             for at in range(0, (count + 3) // 4, chunk)]
    return np.concatenate(parts)[:count]


def hash_name(name):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def initial_weight(name, shape, seed):
    """What rt_initialize gives: GlorotUniform for kernels, zeros for biases."""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    receptive = int(np.prod(shape[:-2]))
    limit = np.float32(np.sqrt(6.0 / (receptive * (shape[-2] + shape[-1]))))
    stream = hash_name(name)
    bits = words(seed, int(np.prod(shape)), PURPOSE_INITIALIZE, stream & 0xFFFFFFFF, stream >> 32)
    unit = (bits >> np.uint64(8)).astype(np.float32) * np.float32(1 / 16777216)
    return ((2 * unit - 1) * limit).reshape(shape)


def pixels(shape, seed):
    """Pictures of noise: whole numbers in 0..255."""
    bits = words(seed, int(np.prod(shape)), PURPOSE_PIXELS, 0, 0)
    return (bits >> np.uint64(24)).astype(np.float32).reshape(shape)


def write_safetensors(path, tensors):
    """tensors: float32 arrays by name."""
    header, at = {}, 0
    for name in sorted(tensors):
        size = 4 * tensors[name].size
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape),
                        "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            file.write(np.ascontiguousarray(tensors[name], "<f4").tobytes())
