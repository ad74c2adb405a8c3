"""tlc and its peers side by side: VGG16 on 224x224 pictures, and training steps of tlc's.

    run.py [--rounds N] [--repeat N] [--batch N...] [--threads N] [--peers NAME...] [--no-training]

The outputs of all peers must agree before anything is timed. Then rounds are interleaved: in each,
every peer measures every batch size once, so that a busy or a hot machine is the same for all.
Prints the tables and writes them to build/bench/results.md.
"""

import argparse
import importlib
import json
import math
import os
import pathlib
import sys

import numpy as np

import network  # noqa: F401: finds tests/parity for the import of programs
import report
import training
from machine import Load, choose_cpus
from programs import BUILD, Failure, run

HERE = pathlib.Path(__file__).resolve().parent
WORK = BUILD / "bench"
BASELINE = ("onnx_runtime", "fp32")  # agreement and ratios are to it
LEAST_REPEAT = 4
TOLERANCE = {"fp32": 1e-4}           # of the output, relative, in the 2-norm


class Row:
    """A peer at one precision and batch size, with its measurements so far."""

    def __init__(self, module, precision, batch, threads):
        self.module, self.precision, self.batch, self.threads = module, precision, batch, threads
        self.name = module.Peer.name
        self.key = module.__name__.removeprefix("peers."), precision
        self.folder = WORK / self.key[0]
        self.version, self.ms, self.cpu_ms, self.peak_bytes = "", [], math.inf, 0

    def work(self, repeat, *output):
        """What worker.py finds."""
        found = run(f"{self.name} {self.precision}, batch {self.batch}", sys.executable,
                    HERE / "worker.py", self.key[0], self.folder, self.batch, self.threads,
                    self.precision, repeat, *output)
        return json.loads(found)

    def output(self):
        path = self.folder / "output.npy"
        self.version = self.work(0, path)["version"]
        return np.load(path)

    def measure(self, repeat):
        found = self.work(repeat)
        self.ms += found["ms"]
        self.cpu_ms = min(self.cpu_ms, found["cpu_ms"])
        self.peak_bytes = max(self.peak_bytes, found["peak_bytes"])


def load_peers(names):
    """The modules of peers/, or those named; one whose packages are missing is left out."""
    for name in names or sorted(path.stem for path in (HERE / "peers").glob("*.py")):
        try:
            yield importlib.import_module(f"peers.{name}")
        except ImportError as error:
            print(f"skipped: {name}: {error}", flush=True)


def make_rows(options):
    rows = []
    for module in load_peers(options.peers):
        folder = WORK / module.__name__.removeprefix("peers.")
        folder.mkdir(parents=True, exist_ok=True)
        module.Peer.prepare(folder)
        rows += [Row(module, precision, batch, options.threads)
                 for precision in module.Peer.precisions for batch in options.batch]
    return sorted(rows, key=lambda row: options.batch.index(row.batch))


def check_agreement(rows):
    """Failure if a network is another than the baseline's, or than the first one's without it."""
    expected = {}
    for row in sorted(rows, key=lambda row: row.key != BASELINE):
        output = row.output()
        wanted = expected.setdefault(row.batch, output)
        off = np.linalg.norm(output - wanted) / np.linalg.norm(wanted)
        print(f"batch {row.batch}: {row.name} {row.precision}: off by {off:.1e}", flush=True)
        if not off <= TOLERANCE[row.precision]:
            raise Failure("agreement", f"{row.name} {row.precision}, batch {row.batch}: output "
                          f"differs by {off:.1e}, allowed are {TOLERANCE[row.precision]:.0e}")


def measure(rows, options):
    for number in range(1, options.rounds + 1):
        for row in rows:
            row.measure(max(LEAST_REPEAT, options.repeat // row.batch))
        print(f"round {number} of {options.rounds}", flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeat", type=int, default=16, help="pictures a round and batch size")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", nargs="+", help="names of files in peers/")
    parser.add_argument("--no-training", action="store_true")
    return parser.parse_args()


def main():
    options = parse_options()
    cpus = choose_cpus(options.threads)
    try:
        os.nice(-5)
    except PermissionError:
        pass  # only root may; the load on the machine is reported in any case
    try:
        rows = make_rows(options)
        check_agreement(rows)
        load = Load(cpus)
        measure(rows, options)
        steps = [] if options.no_training else training.measure(WORK, options.threads)
        others = load.others()
    except Failure as failure:
        print(f"FAIL bench: {failure.stage}: {failure}")
        return 1
    text = report.write(rows, BASELINE, steps, len(cpus), others)
    (WORK / "results.md").write_text(text)
    print(text + f"\nwritten to {WORK / 'results.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
