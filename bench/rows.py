"""The rows of the tables: what is measured again and again, and its measurements so far."""

import importlib
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

from programs import Failure

HERE = pathlib.Path(__file__).resolve().parent
BITS = {"fp32": 32, "highest": 32, "high": 32, "bf16": 16, "fp16": 16, "medium": 16}
LEAST = 1e-6  # probabilities below are taken for equal: half floats cannot tell them from zero
TOLERANCE = {32: 1e-4, 16: 1e-1}  # of centred log-probabilities, relative, in the 2-norm


class Place:
    """Where everything lies: one folder for the weights in use, in it one a peer."""

    def __init__(self, folder, threads):
        self.folder, self.threads = folder, threads

    def worker(self, stage, task, name, *words, **environment):
        """What worker.py finds."""
        command = [sys.executable, HERE / "worker.py", task, name, self.folder / name, self.folder,
                   *words]
        environment = {**os.environ, "BENCH_THREADS": str(self.threads),
                       "BENCH_FOLDER": str(self.folder / name), **environment}
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              env=environment)
        if done.returncode:
            raise Failure(stage, f"exit {done.returncode}: {done.stderr.strip()[-400:]}")
        return json.loads(done.stdout.splitlines()[-1])


class Row:
    """A peer at one precision, doing one thing."""

    def __init__(self, place, name, precision, level=""):
        self.place, self.name, self.precision, self.level = place, name, precision, level
        self.peer = importlib.import_module(f"peers.{name}").Peer
        self.ms, self.peak_bytes = [], 0

    @property
    def title(self):
        return f"{self.peer.name} {self.precision}" + (f", {self.level}" if self.level else "")

    @property
    def bits(self):
        return BITS[self.precision]

    def note(self, found):
        self.ms += found["ms"]
        self.peak_bytes = max(self.peak_bytes, found["peak_bytes"])

    def least(self):
        return min(self.ms)

    def median(self):
        return statistics.median(self.ms)


class InferenceRow(Row):
    def __init__(self, place, name, precision, level, batch):
        super().__init__(place, name, precision, level)
        self.batch, self.version, self.cpu_ms = batch, "", math.inf

    def measure(self, repeat, expected):
        """Failure before any time is taken over if the output is not the expected one."""
        path = self.place.folder / "output.npy"
        found = self.place.worker(f"{self.title}, batch {self.batch}", "infer", self.name,
                                  self.precision, self.batch, self.place.threads, repeat, path,
                                  **self.peer.environment(self.level))
        self.compare(np.load(path), expected)
        self.version = found["version"]
        self.cpu_ms = min(self.cpu_ms, found["cpu_ms"] / self.batch)
        self.note(dict(found, ms=[ms / self.batch for ms in found["ms"]]))

    def compare(self, output, expected):
        """The first output of a batch size is what all others must be; peers at fp32 come first."""
        logits = np.log(np.maximum(output, LEAST))
        logits -= logits.mean(1, keepdims=True)
        wanted = expected.setdefault(self.batch, logits)
        off = np.linalg.norm(logits - wanted) / np.linalg.norm(wanted)
        if not self.ms:
            print(f"batch {self.batch}: {self.title}: off by {off:.1e}", flush=True)
        if not off <= TOLERANCE[self.bits]:
            raise Failure("agreement", f"{self.title}, batch {self.batch}: output differs by "
                          f"{off:.1e}, allowed are {TOLERANCE[self.bits]:.0e}")


class TrainingRow(Row):
    def __init__(self, place, name, precision, what):
        super().__init__(place, name, precision)
        self.what = what

    def measure(self, repeat):
        self.note(self.place.worker(f"training {self.what}, {self.title}", "train", self.name,
                                    self.precision, self.what, self.place.threads, repeat))


class StartRow(Row):
    """From the start of a process to its first prediction: with nothing but what that needs."""

    def measure(self):
        command = self.peer.start_command(self.place.folder / self.name, self.precision,
                                          self.place.threads, self.place.folder / "picture.npy")
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.place.threads)}
        start = time.perf_counter()
        with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, env=environment) as process:
            line = process.stdout.readline()
            ms = 1e3 * (time.perf_counter() - start)
            process.stdout.read()
        if process.wait() or not line:
            raise Failure("start", f"{self.title}: exit {process.returncode}")
        self.ms.append(ms)
