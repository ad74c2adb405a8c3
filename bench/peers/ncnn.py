"""ncnn on the CPU. It has no batches: pictures go through one after the other."""

import ncnn
import numpy as np

import network
from peer import BasePeer

RAW, HALF = 0, 0x01306B47  # what stands before the numbers of a layer: float32, float16


class Writer:
    """The two files of a network: layers as lines of text, weights as numbers."""

    def __init__(self, bin_file, half):
        self.lines, self.last, self.bin, self.half = [], None, bin_file, half

    def add(self, kind, name, *parameters):
        """A layer after the last one; parameters are id=value."""
        inputs = f"1 1 {self.last}" if self.last else "0 1"
        self.lines.append(" ".join([kind, name, inputs, name, *parameters]))
        self.last = name

    def weights(self, kernel, bias):
        kind = "<f2" if self.half else "<f4"
        np.array([HALF if self.half else RAW], "<u4").tofile(self.bin)
        np.ascontiguousarray(kernel, kind).tofile(self.bin)
        np.ascontiguousarray(bias, "<f4").tofile(self.bin)

    def text(self):
        return "\n".join(["7767517", f"{len(self.lines)} {len(self.lines)}", *self.lines]) + "\n"


def write_model(folder, network_folder, name, half):
    with open(folder / f"{name}.bin", "wb") as bin_file:
        writer = Writer(bin_file, half)
        writer.add("Input", "data", f"0={network.SIZE}", f"1={network.SIZE}", "2=3")
        for block, layers in enumerate(network.convolutions(network_folder), 1):
            for layer, kernel, bias in layers:
                writer.add("Convolution", layer, f"0={kernel.shape[3]}", "1=3", "4=1", "5=1",
                           f"6={kernel.size}", "9=1")
                writer.weights(kernel.transpose(3, 2, 0, 1), bias)
            writer.add("Pooling", f"block{block}_pool", "0=0", "1=2", "2=2")
        for layer, kernel, bias in network.dense_layers(network_folder):
            last = layer == "predictions"
            writer.add("InnerProduct", layer, f"0={kernel.shape[1]}", "1=1", f"2={kernel.size}",
                       f"9={0 if last else 1}")
            kernel = network.rows_by_channel(kernel) if layer == "fc1" else kernel
            writer.weights(kernel.T, bias)
        writer.add("Softmax", "probabilities", "0=0")
    (folder / f"{name}.param").write_text(writer.text())


class Peer(BasePeer):
    name = "ncnn"
    precisions = ("fp32", "fp16", "bf16")  # fp16: storage only, as its x86 kernels have it
    start = """
import sys, ncnn, numpy
folder, threads, picture = sys.argv[1:]
net = ncnn.Net()
net.opt.num_threads = int(threads)
for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic"):
    setattr(net.opt, "use_" + name, False)
net.load_param(folder + "/fp32.param")
net.load_model(folder + "/fp32.bin")
pixels = numpy.ascontiguousarray(numpy.load(picture)[0].transpose(2, 0, 1))
extractor = net.create_extractor()
extractor.input("data", ncnn.Mat(pixels))
print(numpy.array(extractor.extract("probabilities")[1]).argmax(), flush=True)
"""

    @classmethod
    def prepare(cls, folder, network_folder):
        for name in ("fp16", "fp32"):
            if not (folder / f"{name}.param").exists():
                write_model(folder, network_folder, name, name == "fp16")
        return {}

    def __init__(self, folder, batch, threads, precision):
        self.net = ncnn.Net()
        options = self.net.opt
        options.num_threads = threads
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic"):
            setattr(options, f"use_{name}", precision == "fp16")
        options.use_bf16_storage = options.use_bf16_packed = precision == "bf16"
        file = "fp16" if precision == "fp16" else "fp32"
        self.net.load_param(str(folder / f"{file}.param"))
        self.net.load_model(str(folder / f"{file}.bin"))

    def version(self):
        return f"ncnn {ncnn.__version__}"

    def place(self, pictures):
        """A Mat of an array is a view that does not keep it: the object does."""
        self.arrays = [np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in pictures]
        return [ncnn.Mat(array) for array in self.arrays]

    def run(self, placed):
        outputs = []
        for picture in placed:
            extractor = self.net.create_extractor()
            extractor.input("data", picture)
            outputs.append(extractor.extract("probabilities")[1])
        return outputs

    def array(self, output):
        return np.stack([np.array(row) for row in output])
