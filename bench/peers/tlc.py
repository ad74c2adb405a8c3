"""tlc: the program that it makes of vgg16.json, timed by the program's own `bench`."""

import json
import os
import pathlib
import subprocess

import numpy as np

import network
from peer import BasePeer
from programs import compile_model

HERE = pathlib.Path(__file__).resolve().parent.parent


class Peer(BasePeer):
    name = "tlc"

    @classmethod
    def prepare(cls, folder):
        """Anew each time: tlc may have changed."""
        compile_model(json.loads((HERE / "vgg16.json").read_text()), folder)

    def __init__(self, folder, batch, threads, precision):
        self.folder, self.batch, self.threads = folder, batch, threads
        self.peak = None

    def call(self, *words):
        command = [self.folder / "model", *map(str, words), "--threads", str(self.threads)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def version(self):
        program = subprocess.run([self.folder / "model", "--version"], check=True,
                                 capture_output=True, text=True).stdout.strip()
        compiler = subprocess.run([os.environ.get("CC", "cc"), "--version"], check=True,
                                  capture_output=True, text=True).stdout.splitlines()[0]
        return f"{program.split(', by ')[1]}, {compiler} -O2, level {self.level()}"

    def bench(self, repeat):
        return json.loads(self.call("bench", "--json", "--batch", self.batch, "--repeat", repeat))

    def level(self):
        return self.bench(1)["level"]

    def run(self, placed):
        np.save(self.folder / "x.npy", placed)
        self.call("predict", "--input", self.folder / "x.npy", "-o", self.folder / "y.npy")
        return np.load(self.folder / "y.npy").reshape(-1, network.CLASSES)

    def measure(self, pictures, repeat):
        result = self.bench(repeat)
        self.peak = result["peak_bytes"]
        return result["ms"], result["cpu_ms"]

    def peak_bytes(self):
        return self.peak
