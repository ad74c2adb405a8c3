"""One peer, one batch size, in a process of its own: prints its findings as JSON.

    worker.py PEER FOLDER BATCH THREADS PRECISION REPEAT [OUTPUT.npy]

With OUTPUT.npy nothing is timed: the network's output for the batch is written there.
"""

import importlib
import json
import pathlib
import sys

import numpy as np

import network


def main(name, folder, batch, threads, precision, repeat, output=None):
    module = importlib.import_module(f"peers.{name}")
    peer = module.Peer(pathlib.Path(folder), int(batch), int(threads), precision)
    pictures = network.pictures(int(batch))
    if output:
        np.save(output, peer.run(peer.place(pictures)))
        print(json.dumps({"version": peer.version()}))
    else:
        times, cpu_ms = peer.measure(pictures, int(repeat))
        print(json.dumps({"ms": times, "cpu_ms": cpu_ms, "peak_bytes": peer.peak_bytes()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
