"""OpenVINO on the CPU, from the ONNX model of the other peer, saved once in its own format."""

import numpy as np
import openvino

import network  # noqa: F401
from peer import BasePeer
from peers import onnx_runtime


class Peer(BasePeer):
    name = "OpenVINO"
    precisions = ("fp32", "bf16", "fp16")
    levels = ("", "avx2")
    start = """
import sys, numpy, openvino
folder, threads, picture = sys.argv[1:]
core = openvino.Core()
model = core.compile_model(folder + "/b1.xml", "CPU", {
    "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
    "INFERENCE_NUM_THREADS": threads})
pixels = numpy.ascontiguousarray(numpy.load(picture).transpose(0, 3, 1, 2))
print(model(pixels)[0].argmax(), flush=True)
"""

    @classmethod
    def prepare(cls, folder, network_folder):
        onnx_folder = folder.parent / "onnx_runtime"
        onnx_folder.mkdir(exist_ok=True)
        onnx_runtime.Peer.prepare(onnx_folder, network_folder)
        if not (folder / "b1.xml").exists():
            model = openvino.Core().read_model(onnx_folder / "vgg16.onnx")
            model.reshape([1, network.CHANNELS, network.SIZE, network.SIZE])
            openvino.save_model(model, folder / "b1.xml", compress_to_fp16=False)
        able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return {name: "this CPU has no arithmetic of that kind for it"
                for name in ("bf16", "fp16") if name.upper() not in able}

    @staticmethod
    def environment(level):
        return {"ONEDNN_MAX_CPU_ISA": level.upper()} if level else {}

    def __init__(self, folder, batch, threads, precision):
        core = openvino.Core()
        model = core.read_model(folder / "b1.xml")
        model.reshape([batch, network.CHANNELS, network.SIZE, network.SIZE])
        hint = {"fp32": "f32", "fp16": "f16"}.get(precision, precision)
        compiled = core.compile_model(model, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": threads})
        self.request = compiled.create_infer_request()

    def version(self):
        return f"openvino {openvino.__version__.split('-')[0]}"

    def place(self, pictures):
        return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))

    def run(self, placed):
        return self.request.infer({0: placed}, share_inputs=True, share_outputs=True)

    def array(self, output):
        return np.array(output[0], np.float32)
