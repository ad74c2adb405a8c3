"""Records what Keras gives for the training runs of tests/golden/epochs, as NAME.npz beside them.

    epochs.py [NAME...]        all runs without a name

Each phase starts from the initial weights, keeps the order of the data, and draws nothing at
random. Members of a recording beside the data (see record.py):

    steps/PHASE          the losses of five training steps, over the batches again and again
    epochs/PHASE/NAME    what fit shows of three epochs, validated on the same data

Where a phase goes on with the optimizer of another, each starts from where the one before ended:

    steps/through        the losses of all steps of all phases, of two epochs each
    epochs/PHASE/NAME    as above
"""

import json
import sys
import time
import zlib

import numpy as np

import record
from model import Net, continues

EPOCHS = record.GOLDEN / "epochs"
STEPS, ROWS = 5, 20


def make_data(net, random):
    """x, y and the initial weights, and what the recording says of them."""
    x = record.make_inputs(net.spec, ROWS, random)
    y = record.make_y(net, ROWS, random)
    if net.model.count_params() <= record.LARGE:
        initial = record.make_weights(net, random)
        made = {"x": x, **{"initial/" + name: value for name, value in initial.items()}}
        return x, y, initial, made
    x, _, initial, choices = record.make_seeded_data(net, random)
    return x, y[: len(x)], initial, record.describe_seeded(x, initial, choices)


def record_through(net, x, y, initial):
    made, losses = {}, []
    names = [phase["name"] for phase in net.spec["phases"]]
    net.assign(initial)
    for name in names:
        net.start(name)
        losses += net.train(x, y, 2 * -(-len(x) // net.batch), compiled=True)
    net.assign(initial)
    for name in names:
        net.start(name)
        for key, values in net.fit(x, y, 3).items():
            made[f"epochs/{name}/{key}"] = values
    return made | {"steps/through": np.array(losses)}


def record_run(spec):
    net = Net(spec)
    x, y, initial, made = make_data(net, np.random.default_rng(zlib.crc32(spec["name"].encode())))
    made["y"] = y
    if any(continues(phase) for phase in spec["phases"]):
        return made | record_through(net, x, y, initial)
    for phase in spec["phases"]:
        net.assign(initial)
        net.start(phase["name"])
        made["steps/" + phase["name"]] = np.array(net.train(x, y, STEPS, compiled=True))
        net.assign(initial)
        net.start(phase["name"])
        for name, values in net.fit(x, y, 3).items():
            made[f"epochs/{phase['name']}/{name}"] = values
    return made


def main(names):
    for name in names or sorted(path.stem for path in EPOCHS.glob("*.json")):
        start = time.time()
        made = record_run(json.loads((EPOCHS / f"{name}.json").read_text()))
        np.savez_compressed(EPOCHS / f"{name}.npz", **made)
        print(f"{name}: {(EPOCHS / f'{name}.npz').stat().st_size} bytes, {time.time() - start:.1f} s")
        for key, values in made.items():
            if key.startswith(("steps/", "epochs/")):
                print("   ", key, " ".join(f"{value:.6g}" for value in values), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
