"""TensorBoard's own reader on the events that a training writes: its tags, steps and values are those
of history.csv, for a training that ran through and for one that was killed and went on.
"""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from programs import BUILD, Failure, compile_model, run

ROWS, BATCH, EPOCHS = 60, 8, 120
STEPS = -(-ROWS // BATCH)


def phase(name, epochs, **more):
    rate = {"type": "ExponentialDecay", "initial_learning_rate": 0.1, "decay_steps": 9,
            "decay_rate": 0.9}
    return {"name": name, "loss": "binary_crossentropy", "metrics": ["accuracy", "AUC"],
            "epochs": epochs, "batch_size": BATCH, "optimizer": {"type": "SGD", "learning_rate": rate},
            "callbacks": [{"type": "TensorBoard", "log_dir": f"logs/{name}", **more}]}


def make_program(folder):
    program = compile_model(
        {"name": "events", "input": {"shape": [16, 16, 3]},
         "layers": [{"type": "Conv2D", "filters": 8, "kernel_size": 3, "activation": "relu"},
                    {"type": "Conv2D", "filters": 8, "kernel_size": 3, "activation": "relu"},
                    {"type": "Flatten"}, {"type": "Dense", "units": 1, "activation": "sigmoid"}],
         "phases": [phase("first", EPOCHS, update_freq=3), phase("second", 2)]}, folder)
    random = np.random.default_rng(8)
    np.savez(folder / "data.npz", x=random.normal(size=(ROWS, 16, 16, 3)).astype(np.float32),
             y=random.integers(0, 2, (ROWS, 1)).astype(np.float32))
    return program


def rows_of(out, phase_name=None):
    with open(out / "history.csv", newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if phase_name in (None, row["phase"])]


def train(program, folder, name, kill_after=None):
    """The training's folder; if told so it is killed after so many epochs, and started again."""
    words = [program, "train", "--data", folder / "data.npz", "--validation", folder / "data.npz",
             "--out", folder / name, "--quiet"]
    if kill_after:
        with subprocess.Popen([str(word) for word in words]) as training:
            while training.poll() is None:
                history = folder / name / "history.csv"
                if history.exists() and len(rows_of(folder / name)) >= kill_after:
                    os.kill(training.pid, signal.SIGKILL)
                    break
                time.sleep(0.002)
        if training.returncode != -signal.SIGKILL:
            raise Failure("kill", "the training had ended before it was killed")
    run("train", *words)
    return folder / name


def read_events(folder):
    """{tag: {step: value}}; a step that was done again must give the same value."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    found = {}
    for tag in reader.Tags()["tensors"]:
        steps = found.setdefault(tag, {})
        for event in reader.Tensors(tag):
            value = tensor_util.make_ndarray(event.tensor_proto).item()
            if steps.setdefault(event.step, value) != value:
                raise Failure("again", f"{tag} of step {event.step}: {steps[event.step]}, {value}")
    return found


def expected_tags(rows, side):
    """What the history says of the epochs; on the side of validation also by the steps."""
    made = {}
    for step, row in enumerate(rows):
        for name, value in row.items():
            if name in ("epoch", "phase") or name.startswith("val_") != (side == "validation"):
                continue
            name, value = name.removeprefix("val_"), float(np.float32(value))
            made.setdefault(f"epoch_{name}", {})[step] = value
            if side == "validation":
                made.setdefault(f"evaluation_{name}_vs_iterations", {})[(step + 1) * STEPS] = value
    return made


def check_side(out, name, side):
    found, expected = read_events(out / "logs" / name / side), expected_tags(rows_of(out, name), side)
    batches = {tag: found.pop(tag) for tag in list(found) if tag.startswith("batch_")}
    if found != expected:
        different = [tag for tag in {*found, *expected} if found.get(tag) != expected.get(tag)]
        raise Failure("values", f"{name}/{side}: {different[0]} is {found.get(different[0])}, "
                                f"history.csv has {expected.get(different[0])}")
    logs = ["batch_AUC", "batch_accuracy", "batch_loss"]
    if sorted(batches) != (logs if (name, side) == ("first", "train") else []):
        raise Failure("tags", f"{name}/{side}: of batches {sorted(batches)}")
    if any(sorted(steps) != list(range(3, STEPS * EPOCHS + 1, 3)) for steps in batches.values()):
        raise Failure("steps", f"{name}/{side}: of batches not every third")
    return {**found, **batches}


def main():
    folder = BUILD / "parity" / "events"
    try:
        program = make_program(folder)
        subprocess.run(["rm", "-rf", str(folder / "whole"), str(folder / "killed")], check=True)
        whole, killed = train(program, folder, "whole"), train(program, folder, "killed", 5)
        for place in ("first", "train"), ("first", "validation"), ("second", "train"):
            if check_side(whole, *place) != check_side(killed, *place):
                raise Failure("killed", f"other events of {'/'.join(place)}")
            files = len(list((killed / "logs" / place[0] / place[1]).iterdir()))
            print(f"ok events {'/'.join(place)}: TensorBoard reads what history.csv has, "
                  f"from {files} file{'s' * (files > 1)} of a killed training too")
    except Failure as failure:
        print(f"FAIL events: {failure.stage}: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
