"""ONNX Runtime on the CPU, the network as an ONNX model of fixed shape."""

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import network
from peer import BasePeer


class Builder:
    """A chain of ONNX nodes, each named after its layer."""

    def __init__(self):
        self.nodes, self.weights, self.last = [], [], "pictures"

    def weight(self, name, values):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind, name, *weights, **attributes):
        inputs = [self.last] + [self.weight(f"{name}/{i}", w) for i, w in enumerate(weights)]
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        self.last = name


def add_convolutions(builder, folder):
    for block, layers in enumerate(network.convolutions(folder), 1):
        for name, kernel, bias in layers:
            builder.add("Conv", name, kernel.transpose(3, 2, 0, 1), bias, kernel_shape=[3, 3],
                        pads=[1, 1, 1, 1])
            builder.add("Relu", f"{name}_relu")
        builder.add("MaxPool", f"block{block}_pool", kernel_shape=[2, 2], strides=[2, 2])


def add_dense_layers(builder, folder):
    """Pictures lie as (N, C, H, W) here: the rows of fc1 are put in that order."""
    builder.add("Flatten", "flatten")
    for name, kernel, bias in network.dense_layers(folder):
        kernel = network.rows_by_channel(kernel) if name == "fc1" else kernel
        builder.add("Gemm", name, kernel, bias)
        if name == "predictions":
            builder.add("Softmax", "probabilities")
        else:
            builder.add("Relu", f"{name}_relu")


def make_model(batch, folder):
    builder = Builder()
    add_convolutions(builder, folder)
    add_dense_layers(builder, folder)
    shape = [batch, network.CHANNELS, network.SIZE, network.SIZE]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)
            for name, dims in (("pictures", shape), (builder.last, [batch, network.CLASSES]))]
    graph = helper.make_graph(builder.nodes, "vgg16", ends[:1], ends[1:], builder.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Peer(BasePeer):
    name = "ONNX Runtime"
    start = """
import sys, numpy, onnxruntime
folder, threads, picture = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(folder + "/vgg16.onnx", options)
pixels = numpy.ascontiguousarray(numpy.load(picture).transpose(0, 3, 1, 2))
print(session.run(None, {"pictures": pixels})[0].argmax(), flush=True)
"""

    @classmethod
    def prepare(cls, folder, network_folder):
        """The batch is free in the file, and fixed when it is loaded."""
        if not (folder / "vgg16.onnx").exists():
            (folder / "weights").unlink(missing_ok=True)  # onnx appends
            onnx.save(make_model("batch", network_folder), folder / "vgg16.onnx",
                      save_as_external_data=True, location="weights")
        return {}

    def __init__(self, folder, batch, threads, precision):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_free_dimension_override_by_name("batch", batch)
        self.session = onnxruntime.InferenceSession(folder / "vgg16.onnx", options,
                                                    providers=["CPUExecutionProvider"])

    def version(self):
        return f"onnxruntime {onnxruntime.__version__}"

    def place(self, pictures):
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))

    def run(self, placed):
        return self.session.run(None, {"pictures": placed})[0]
