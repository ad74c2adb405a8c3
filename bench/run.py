"""tlc and its peers side by side: VGG16 on 224x224 pictures, training steps, start and memory.

    run.py [--quick] [--rounds N] [--peers NAME...] [--only inference|training]
           [--weights FILE] [--data DIR]

Rounds are interleaved: in each, every row is measured once, so that a busy or a hot machine is the
same for all; outputs must agree before times are taken over. Prints the tables and writes them to
build/bench/results.md, with plots beside it.
"""

import argparse
import hashlib
import importlib
import os
import pathlib
import sys

import bars
import layers
import network
import plots
import report
from machine import Load, choose_cpus, has_amx, measure_peaks
from programs import BUILD, Failure
from rows import InferenceRow, Place, StartRow, TrainingRow

HERE = pathlib.Path(__file__).resolve().parent
WORK = BUILD / "bench"
FIRST = ("onnx_runtime", "openvino", "torch")  # what others are compared with, if it is there
SLOW = "generic"  # this level is measured once
PHASES = ("head", "block5", "all")


def choose_network(options):
    """The folder of the weights and pictures in use, and what they are."""
    given = [str(pathlib.Path(path).resolve()) for path in (options.weights, options.data) if path]
    name = hashlib.sha256("\n".join(given).encode()).hexdigest()[:8] if given else "seeded"
    return WORK / name, network.make(WORK / name, options.weights, options.data)


def load_peers(names):
    """Names of modules of peers/, or those asked for; without those whose packages are missing."""
    found = names or sorted(path.stem for path in (HERE / "peers").glob("*.py"))
    for name in sorted(found, key=lambda name: name not in FIRST):
        try:
            yield name, importlib.import_module(f"peers.{name}")
        except ImportError as error:
            print(f"skipped: {name}: {error}", flush=True)


class Bench:
    """All rows, and what was skipped with the reason."""

    def __init__(self, place, options):
        self.place, self.options = place, options
        self.inference, self.training, self.start, self.skipped = [], [], [], []
        for name, module in load_peers(options.peers):
            (place.folder / name).mkdir(parents=True, exist_ok=True)
            missing = place.worker(f"{name}, preparation", "prepare", name)
            if options.only != "training":
                self.add_inference(name, module.Peer, missing["inference"])
                self.start.append(StartRow(place, name, module.Peer.precisions[0]))
            if hasattr(module, "Trainer") and options.only != "inference":
                self.add_training(name, module.Trainer, missing["training"])

    def skip(self, what, reason):
        print(f"skipped: {what}: {reason}", flush=True)
        self.skipped.append(f"{what}: {reason}")

    def add_inference(self, name, peer, missing):
        for precision, reason in missing.items():
            self.skip(f"{peer.name} {precision}", reason)
        for precision in peer.precisions:
            levels = peer.levels if precision == peer.precisions[0] else ("",)
            self.inference += [
                InferenceRow(self.place, name, precision, level, batch) for level in levels
                for batch in self.options.batch
                if precision not in missing and not (level and batch > 1)
                and not (level == SLOW and self.options.quick)]

    def add_training(self, name, trainer, missing):
        for precision, reason in missing.items():
            self.skip(f"training, {name} {precision}", reason)
        self.training += [TrainingRow(self.place, name, precision, what)
                          for what in PHASES[:2 if self.options.quick else 3]
                          for precision in trainer.precisions if precision not in missing]
        self.training.sort(key=lambda row: PHASES.index(row.what))

    def measure(self):
        """One round after the other."""
        expected = {}
        for number in range(1, self.options.rounds + 1):
            for row in self.inference:
                if number == 1 or row.level != SLOW:
                    row.measure(5 if row.batch == 1 and row.level != SLOW else 2, expected)
            for row in self.start:
                row.measure()
            print(f"round {number} of {self.options.rounds}", flush=True)
        for _ in range((self.options.rounds + 1) // 2):
            for row in self.training:
                row.measure(1 if self.options.quick else 2)
                print(f"training {row.what}: {row.title}: {row.ms[-1]:.0f} ms", flush=True)

    def layer_tables(self, peaks):
        """{(title, level): lines}; and how much faster two threads do all convolutions."""
        found, threads, times = {}, self.options.threads, {}
        for row in self.inference:
            if row.name != "tlc" or row.batch > 1 or row.level == SLOW:
                continue
            level, lines = layers.table(row, peaks, threads, 5)
            found[f"tlc {row.precision}", level] = lines
            if row.precision == row.peer.precisions[0] and not row.level and threads > 1:
                for count in (1, threads):
                    times[count] = sum(ms for _, _, ms in layers.measure(row, count, 5)[1])
        return found, times[1] / times[threads] if times else None


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="one round, batch 1, no training of everything: under 5 minutes")
    parser.add_argument("--rounds", type=int, help="default 2; half as many of training")
    parser.add_argument("--batch", type=int, nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", nargs="+", help="names of files in peers/")
    parser.add_argument("--only", choices=["inference", "training"])
    parser.add_argument("--weights", default=os.environ.get("WEIGHTS"), help="VGG16's, an .h5 file")
    parser.add_argument("--data", default=os.environ.get("DATA"), help="a folder of photographs")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 2)
    options.batch = options.batch or ([1] if options.quick else [1, 8])
    return options


def measure_all(options):
    """The text of results.md; plots are written beside it."""
    cpus = choose_cpus(options.threads)
    folder, what = choose_network(options)
    bench = Bench(Place(folder, options.threads), options)
    load = Load(cpus)
    peaks = measure_peaks(HERE / "peaks.c", WORK / "peaks", options.threads)
    bench.measure()
    tables, speedup = bench.layer_tables(peaks)
    found = [*bars.inference_bars(bench.inference, has_amx()), *bars.training_bars(bench.training),
             *bars.start_bars(bench.start), *bars.layer_bars(tables, speedup)]
    plots.write(WORK, bench, tables)
    head = report.head(bench, what, peaks, len(cpus), load.others())
    return report.write(head, bench, tables, found)


def main():
    options = parse_options()
    try:
        os.nice(-5)
    except PermissionError:
        pass  # only root may; the load on the machine is reported in any case
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        text = measure_all(options)
    except Failure as failure:
        print(f"FAIL bench: {failure.stage}: {failure}")
        return 1
    (WORK / "results.md").write_text(text)
    print(text + f"\nwritten to {WORK / 'results.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
