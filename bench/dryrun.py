"""What `train --dry-run` foretells, beside what the training then takes: what is done once (features,
decoding), an epoch, and all of each phase with what is saved.

    BUILD/bench-venv/bin/python bench/dryrun.py --data DIR [--rounds N] [NAME…]

DIR has train/ and validation/, with a folder of photographs for each of two classes. Weights are
random. A NAME is of a model below. Each round foretells, trains without saving and trains; the
medians are compared.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import time

import network  # noqa: F401: finds tests/parity for the import of programs
from machine import Load, choose_cpus, cpu_name
from peers.tlc import call, compile_program
from programs import BUILD

HERE = pathlib.Path(__file__).resolve().parent
WORK = BUILD / "bench" / "dryrun"
SMALL = [
    {"type": "Rescaling", "scale": 1 / 255},
    {"type": "Conv2D", "filters": 24, "kernel_size": 3, "activation": "relu", "name": "conv1"},
    {"type": "MaxPooling2D"},
    {"type": "Conv2D", "filters": 20, "kernel_size": 3, "activation": "relu", "name": "conv2"},
    {"type": "Flatten"},
    {"type": "Dense", "units": 64, "activation": "relu", "name": "fc"},
    {"type": "Dense", "units": 1, "activation": "sigmoid", "name": "out"}]


def models():
    """{name: specification}: the head of VGG16 on kept features, then block 5; both with random
    layers in front; a small network."""
    spec = json.loads((HERE / "train.json").read_text())
    head, block5, _ = spec["phases"]
    fixed = [layer for layer in spec["layers"] if not layer["type"].startswith("Random")]
    small = [dict(head, name=name, freeze=freeze, epochs=epochs, cache="memory")
             for name, freeze, epochs in (("head", ["conv*"], 20), ("tune", ["conv1"], 10),
                                          ("all", [], 10))]
    return {
        "cached": dict(spec, name="cached", layers=fixed,
                       phases=[dict(head, epochs=20), dict(block5, epochs=3)]),
        "augmented": dict(spec, name="augmented",
                          phases=[dict(head, epochs=2), dict(block5, epochs=2)]),
        "small": {"name": "small", "input": {"shape": [64, 64, 3]}, "layers": SMALL,
                  "phases": small}}


def seconds(text):
    """Of "1.23 s" or "0:12:34"."""
    if text.endswith(" s"):
        return float(text[:-2])
    hours, minutes, rest = map(int, text.split(":"))
    return 3600 * hours + 60 * minutes + rest


def foretell(program, data, *words):
    """{phase: (once, epoch, all)}"""
    found = {}
    time_text = r"(\d+\.\d+ s|\d+:\d\d:\d\d|-)"
    row = re.compile(rf"(\S+) +\d+ +[\d.]+ +[\d.]+ +{time_text} +{time_text} +{time_text} +\d+ "
                     rf"+{time_text} +{time_text}$")
    for line in call(program, "train", "--data", data, "--dry-run", *words).splitlines():
        if match := row.match(line):
            name, once, _validation, epoch, _saving, whole = match.groups()
            found[name] = tuple(0 if part == "-" else seconds(part)
                                for part in (once, epoch, whole))
    return found


def train(program, data, *words):
    """{phase: (once, epoch, all)}, by the lines that tell what was done."""
    begun, found, process = {}, {}, subprocess.Popen(
        [program, "train", "--data", data, *map(str, words)], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True)
    name = None
    for line in process.stderr:
        now, phase = time.perf_counter(), re.match(r"Phase (\S+): ", line)
        if phase:
            if name:
                found[name] = finish(begun, now)
            name, begun = phase[1], {"phase": now, "last": now, "features": 0, "epochs": []}
        elif line.startswith(("Features,", "Pictures,")):
            begun["features"] += now - begun["last"]
            begun["last"] = now
        elif line.startswith("Epoch "):
            begun["epochs"].append(now - begun["last"])
            begun["last"] = now
    if process.wait():
        raise SystemExit(f"{program}: exit {process.returncode}")
    found[name] = finish(begun, begun["last"])
    return found


def finish(begun, now):
    """The first epoch may decode pictures for all."""
    first, *later = begun["epochs"]
    epoch = statistics.mean(later or [first])
    return begun["features"] + max(first - epoch, 0), epoch, now - begun["phase"]


def measure(name, data, rounds):
    folder = WORK / name
    compile_program(models()[name], folder, "highest")
    program = folder / "model"
    told, alone, saved = [], [], []
    for _ in range(rounds):
        shutil.rmtree(folder / "run", ignore_errors=True)
        told.append(foretell(program, data))
        alone.append(train(program, data, "--trace", folder / "trace.npz"))
        saved.append(train(program, data, "--out", folder / "run"))
    for phase in told[0]:
        def pair(index, runs):
            return [statistics.median(run[phase][index] for run in some) for some in (told, runs)]
        row = [f"{name}, {phase}"]
        for foretold, taken in (pair(0, alone), pair(1, alone), pair(2, saved)):
            ratio = f"{foretold / taken:.2f}" if taken else "-"
            row += [f"{foretold:.3f} / {taken:.3f}", ratio]
        print("| " + " | ".join(row) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*", default=[], metavar="NAME")
    options = parser.parse_args()
    threads = len(choose_cpus(int(os.environ.get("BENCH_THREADS", 2))))
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ["TLC_CACHE"] = str(WORK / "kept")
    load = Load(os.sched_getaffinity(0))
    print(f"{cpu_name()}, {threads} threads; seconds, foretold / taken and their ratio\n")
    print("| phase | once |  | epoch |  | all |  |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in options.names or models():
        measure(name, options.data, options.rounds)
    print(f"\nothers had {100 * load.others():.0f} % of these CPUs")


if __name__ == "__main__":
    main()
