"""What a peer is: one file in peers/ with a class Peer derived from this one, and a class Trainer
where it can train.

A peer runs in a process of its own for each measurement (worker.py), so that no thread or memory of
another disturbs it; only prepare runs in the process of run.py.
"""

import math
import resource
import sys
import time


class BasePeer:
    name = None             # in the tables
    precisions = ("fp32",)  # of arithmetic; BITS in rows.py knows each
    levels = ("",)          # ISA levels that are measured beside the best one, ""
    start = None            # a Python script: folder, threads and picture.npy are its arguments; it
                            # prints the class of the picture as soon as it can

    @classmethod
    def prepare(cls, folder, network_folder):
        """Makes in `folder` the files that measurements need, unless they are there. Precisions
        that it cannot have: {precision: reason}."""
        return {}

    @staticmethod
    def environment(level):
        """What the environment of a process must say so that it uses no more than the level."""
        return {}

    def __init__(self, folder, batch, threads, precision):
        """Loads the network for batches of exactly `batch` pictures."""

    def version(self):
        """Name and version of all that matters to the time."""
        raise NotImplementedError

    def place(self, pictures):
        """Pictures (N, 224, 224, 3), float32, in the layout that the peer likes best: not timed."""
        return pictures

    def run(self, placed):
        """The network's output, (N, 1000), in whatever form it comes."""
        raise NotImplementedError

    def array(self, output):
        """What run gave, as an array."""
        return output

    def measure(self, placed, repeat):
        """Milliseconds of each of `repeat` runs, and the least CPU time of a run, of all threads
        together."""
        times, cpu_times = [], []
        for _ in range(repeat):
            start, cpu_start = time.perf_counter(), time.process_time()
            self.run(placed)
            times.append(1e3 * (time.perf_counter() - start))
            cpu_times.append(1e3 * (time.process_time() - cpu_start))
        return times, min(cpu_times)

    def peak_bytes(self):
        """The most memory that the process had, the peer's own loading included."""
        return peak_bytes()

    @classmethod
    def start_command(cls, folder, precision, threads, picture):
        return [sys.executable, "-c", cls.start, folder, threads, picture]


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class BaseTrainer:
    """Steps of training on one batch of pictures; what is one of PHASES in run.py."""

    precisions = ()

    @staticmethod
    def prepare(folder):
        """As that of peers."""
        return {}

    def __init__(self, what, pictures, labels, threads, precision):
        """pictures: (N, H, W, 3) of 0..255, float32; labels: (N,) of 0 and 1."""

    def step(self):
        """One step; the loss before it."""
        raise NotImplementedError

    def measure(self, repeat):
        """Milliseconds of each of `repeat` steps, after one that is not counted."""
        times = []
        for _ in range(1 + repeat):
            start = time.perf_counter()
            loss = self.step()
            times.append(1e3 * (time.perf_counter() - start))
            if not math.isfinite(loss):
                raise ValueError(f"the loss is {loss}")
        return times[1:]

    def peak_bytes(self):
        return peak_bytes()
