"""What a peer is: one file in peers/ with a class Peer derived from this one.

A peer runs in a process of its own for each measurement (worker.py), so that no thread or memory of
another disturbs it; only prepare runs in the process of run.py.
"""

import resource
import time


class BasePeer:
    name = None             # in the table
    precisions = ("fp32",)  # of arithmetic and weights; TOLERANCE in run.py knows each

    @classmethod
    def prepare(cls, folder):
        """Makes in `folder` the files that measurements need, unless they are there."""

    def __init__(self, folder, batch, threads, precision):
        """Loads the network for batches of exactly `batch` pictures."""

    def version(self):
        """Name and version of all that matters to the time."""
        raise NotImplementedError

    def place(self, pictures):
        """Pictures (N, 224, 224, 3), float32, in the layout that the peer likes best: not timed."""
        return pictures

    def run(self, placed):
        """The network's output, (N, 1000)."""
        raise NotImplementedError

    def measure(self, pictures, repeat):
        """Milliseconds of each of `repeat` runs, after one that is not counted, and the least CPU
        time of a run, of all threads together."""
        placed = self.place(pictures)
        self.run(placed)
        times, cpu_times = [], []
        for _ in range(repeat):
            start, cpu_start = time.perf_counter(), time.process_time()
            self.run(placed)
            times.append(1e3 * (time.perf_counter() - start))
            cpu_times.append(1e3 * (time.process_time() - cpu_start))
        return times, min(cpu_times)

    def peak_bytes(self):
        """The most memory that the process had, the peer's own loading included."""
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
