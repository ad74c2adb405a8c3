"""One measurement in a process of its own: prints its findings as JSON.

    worker.py prepare PEER FOLDER NETWORK
    worker.py infer PEER FOLDER NETWORK PRECISION BATCH THREADS REPEAT OUTPUT.npy
    worker.py train PEER FOLDER NETWORK PRECISION WHAT THREADS REPEAT

infer writes the network's output before it takes times.
"""

import importlib
import json
import os
import pathlib
import sys

import numpy as np

import network

TRAINING_SHAPE = (32, 180, 180, 3)


def prepare(peer, folder, source):
    return {"inference": peer.Peer.prepare(folder, source),
            "training": peer.Trainer.prepare(folder) if hasattr(peer, "Trainer") else {}}


def infer(peer, folder, source, precision, batch, threads, repeat, output):
    runner = peer.Peer(folder, int(batch), int(threads), precision)
    placed = runner.place(network.pictures(source, int(batch)))
    np.save(output, runner.array(runner.run(placed)))
    times, cpu_ms = runner.measure(placed, int(repeat))
    return {"ms": times, "cpu_ms": cpu_ms, "peak_bytes": runner.peak_bytes(),
            "version": runner.version()}


def train(peer, folder, source, precision, what, threads, repeat):
    pictures = np.random.default_rng(0).uniform(0, 255, TRAINING_SHAPE).astype(np.float32)
    labels = (np.arange(len(pictures)) % 2).astype(np.float32)
    trainer = peer.Trainer(what, pictures, labels, int(threads), precision)
    return {"ms": trainer.measure(int(repeat)), "peak_bytes": trainer.peak_bytes()}


def main(task, name, folder, source, *words):
    os.environ["OMP_NUM_THREADS"] = os.environ.get("BENCH_THREADS", "2")
    peer = importlib.import_module(f"peers.{name}")
    found = globals()[task](peer, pathlib.Path(folder), pathlib.Path(source), *words)
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
