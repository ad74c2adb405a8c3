"""Random small models by tlc and by Keras: the same numbers, or the smallest culprit.

    parity.py [MODEL.json...]

Environment: PARITY_SEED (printed; default: from the clock), PARITY_COUNT (default 200),
PARITY_JOBS (models in work at once; default 2), and what programs.py reads: RT_LIBS, BUILD, CC.
Given files are compared instead of random models; they need the phases that record.py describes.

Each model is run three ways: inference over all rows, one step of SGD that shows every gradient,
ten steps of its own optimizer over two full batches and a partial one. Outputs, gradients and
weights may be off by 1e-4 of the largest of their array, losses by 1e-5. Where that is exceeded,
Keras is asked how much its own numbers move when it computes in double precision and when weights
move by 1e-5 of themselves: a number on the edge of ReLU or of a pooling window may go either way.
A model that is off by no more than ten times that says nothing about tlc: it is skipped by name,
never counted as passed, and another is drawn in its place. More than one in ten fail the run.
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import sys
import time
import zlib

import numpy as np

import random_model
import record
import seeded
from model import Net, keras
from programs import BUILD, Failure, compile_model, run

WORK = BUILD / "parity"
TOLERANCE = {"output": 1e-4, "gradient": 1e-4, "loss": 1e-5, "final": 1e-4}
MOST_SKIPPED = 0.1  # of the models wanted
TRIES = 60   # models tried while making a failing one smaller


class Edge(Exception):
    """Keras's own numbers move so far that the model cannot tell right from wrong."""


def draw_data(spec):
    """The net, x, y and initial weights: a pure function of the model."""
    net = Net(spec)
    return net, *record.make_data(net, np.random.default_rng(zlib.crc32(spec["name"].encode())))


def by_keras(spec, precision="float32", noise=None):
    """What Keras gives: arrays by stage and name. noise: a generator that moves the weights."""
    keras.config.set_floatx(precision)
    try:
        net, x, y, initial = draw_data(spec)
        for name, value in initial.items() if noise else ():
            initial[name] = value * (1 + 1e-5 * noise.normal(size=value.shape))
        net.assign(initial)
        result = {("output", ""): net.predict(x)}
        net.start("grad")
        result |= {("gradient", name): value for name, value in net.first_gradients(x, y).items()}
        net.assign(initial)
        net.start("train")
        result["loss", ""] = np.array(net.train(x, y, record.STEPS))
        result |= {("final", name): value for name, value in net.values().items()}
        return result
    finally:
        keras.config.set_floatx("float32")


def write_inputs(spec, folder):
    _, x, y, initial = draw_data(spec)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "x.npy", x)
    np.savez(folder / "data.npz", x=x, y=y)
    seeded.write_safetensors(folder / "weights.safetensors", initial)


def by_tlc(spec, folder):
    """What the generated program gives, in the same form."""
    program = compile_model(spec, folder, "-O1")
    weights = ("--weights", folder / "weights.safetensors", "--threads", 2)
    run("predict", program, "predict", "--input", folder / "x.npy", "-o",
        folder / "output.npy", *weights)
    for phase, steps in (("grad", 1), ("train", record.STEPS)):
        run(phase, program, "train", "--data", folder / "data.npz", "--phase", phase,
            "--no-shuffle", "--epochs", steps, "--steps", steps,
            "--trace", folder / f"{phase}.npz", "--out", folder / "run", *weights)
    result = {("output", ""): np.load(folder / "output.npy")}
    for name, value in np.load(folder / "grad.npz").items():
        if name.startswith("optimizer/"):
            result["gradient", name[len("optimizer/"):-len("/momentum")]] = -value
    trace = np.load(folder / "train.npz")
    result["loss", ""] = trace["loss"]
    result |= {("final", name): value for name, value in trace.items()
               if "/" in name and not name.startswith("optimizer/")}
    return result


def distance(stage, ours, theirs):
    """Largest difference, as a part of the largest magnitude (of each number for losses)."""
    if ours.shape != theirs.shape:
        return np.inf
    scale = np.abs(theirs) if stage == "loss" else np.abs(theirs).max(initial=1e-30)
    return (np.abs(ours - theirs) / scale).max(initial=0)


def movements(spec, theirs):
    """How far Keras's numbers move, by stage and name, for reasons that are no one's fault."""
    exact = by_keras(spec, "float64")
    others = [by_keras(spec, "float64", np.random.default_rng(seed)) for seed in range(8)]
    return {(stage, name): max(distance(stage, other[stage, name], value)
                               for other in [theirs, *others])
            for (stage, name), value in exact.items()}


def compare(spec, ours, theirs):
    if ours.keys() != theirs.keys():
        odd = sorted(map(str, ours.keys() ^ theirs.keys()))
        raise Failure("names", f"not on both sides: {', '.join(odd)}")
    moves = edge = None
    for (stage, name), value in theirs.items():
        off = distance(stage, ours[stage, name], value)
        if off <= TOLERANCE[stage]:
            continue
        moves = moves or movements(spec, theirs)
        facts = (f"{stage} {name} differs by {off:.2e}, allowed {TOLERANCE[stage]:.0e}; "
                 f"Keras itself moves by {moves[stage, name]:.1e}")
        if not off <= 10 * moves[stage, name]:
            raise Failure(stage, facts)
        edge = edge or facts
    if edge:
        raise Edge(edge)


def check(spec):
    """Compares one model, from the start; raises Failure."""
    folder = WORK / "try"
    write_inputs(spec, folder)
    compare(spec, by_tlc(spec, folder), by_keras(spec))


def shrink(spec, failure):
    """The smallest model found that fails in the same stage."""
    tries, progress = 0, True
    while progress and tries < TRIES:
        progress = False
        for candidate in sorted(random_model.smaller(spec), key=random_model.size_of):
            tries += 1
            try:
                check(candidate)
            except Failure as found:
                if found.stage == failure.stage:
                    spec, failure, progress = candidate, found, True
                    break
            except Exception:  # of any kind: it has many
                pass  # Keras does not take the model either
            if tries >= TRIES:
                break
    return spec, failure


def report(failures):
    """Makes the smallest failing model smaller still and writes it."""
    spec, failure = min(failures, key=lambda pair: random_model.size_of(pair[0]))
    spec, failure = shrink(spec, failure)
    path = WORK / "failing.json"
    path.write_text(json.dumps(spec, indent=2) + "\n")
    print(f"parity: smallest failing model: {path}\n  {failure.stage}: {failure}")


def draw_models(seed, numbers):
    return [random_model.Maker(f"random_{seed}_{number}",
                               np.random.default_rng([seed, number])).model()
            for number in numbers]


def compare_all(specs):
    """Compares all models, tlc's side in threads beside Keras's; failures, and how many skipped."""
    failures, skipped = [], 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("PARITY_JOBS", 2))) as pool:
        runs = []
        for spec in specs:
            write_inputs(spec, WORK / spec["name"])
            runs.append((spec, pool.submit(by_tlc, spec, WORK / spec["name"])))
        for spec, run in runs:
            try:
                theirs = by_keras(spec)
                compare(spec, run.result(), theirs)
            except Failure as failure:
                failures.append((spec, failure))
                print(f"FAIL {spec['name']}: {failure.stage}: {failure}", flush=True)
                continue
            except Edge as edge:
                skipped += 1
                print(f"skip {spec['name']}: {edge}", flush=True)
            shutil.rmtree(WORK / spec["name"])
    return failures, skipped


def compare_random():
    """At least PARITY_COUNT models that can be told right from wrong."""
    seed = int(os.environ.get("PARITY_SEED", int(time.time()) % 1000000))
    count = int(os.environ.get("PARITY_COUNT", 200))
    print(f"parity: {count} models, PARITY_SEED={seed}", flush=True)
    failures, skipped, drawn = [], 0, 0
    while drawn - skipped < count and skipped <= MOST_SKIPPED * count:
        wanted = range(drawn, count + skipped)
        more, edges = compare_all(draw_models(seed, wanted))
        failures, skipped, drawn = failures + more, skipped + edges, wanted.stop
    return failures, skipped, drawn, skipped > MOST_SKIPPED * count


def main(paths):
    WORK.mkdir(parents=True, exist_ok=True)
    start = time.time()
    if paths:
        specs = [json.loads(pathlib.Path(path).read_text()) for path in paths]
        (failures, skipped), drawn, blurred = compare_all(specs), len(specs), False
    else:
        failures, skipped, drawn, blurred = compare_random()
    if blurred:
        print(f"FAIL parity: {skipped} models could not be told right from wrong")
    print(f"parity: {drawn - skipped - len(failures)} passed, {len(failures) + blurred} failed, "
          f"{skipped} skipped, {time.time() - start:.0f} s")
    if failures:
        report(failures)
    return 1 if failures or blurred else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
