"""The machine of a measurement: which CPUs are used, what they are, and who else used them."""

import json
import os
import pathlib
import resource
import subprocess
import time


def choose_cpus(count):
    """Keeps this process and its children on `count` CPUs, of different cores where there are."""
    allowed = sorted(os.sched_getaffinity(0))
    cores = {}
    for cpu in allowed:
        siblings = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.setdefault(siblings.read_text() if siblings.exists() else cpu, cpu)
    firsts = list(cores.values())
    chosen = sorted((firsts + [cpu for cpu in allowed if cpu not in firsts])[:count])
    os.sched_setaffinity(0, chosen)
    return chosen


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def has_amx():
    return " amx_bf16" in pathlib.Path("/proc/cpuinfo").read_text()


def measure_peaks(source, program, threads):
    """What peaks.c finds: {name: (one thread, all)} in GFLOP/s or GB/s; {} where it cannot run."""
    try:
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", source, "-pthread", "-o",
                        program], check=True, capture_output=True)
        found = subprocess.run([program, str(threads)], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"skipped: the machine's peaks: {error}", flush=True)
        return {}
    return json.loads(found.stdout)


class Load:
    """Counts from its making on how much of the CPUs went to other processes."""

    def __init__(self, cpus):
        self.cpus = cpus
        self.start = time.perf_counter(), self.busy(), self.own()

    def busy(self):
        """Seconds that the CPUs did not idle; stolen by the hypervisor counts too."""
        ticks = 0
        for line in pathlib.Path("/proc/stat").read_text().splitlines():
            name, *fields = line.split()
            if name in {f"cpu{cpu}" for cpu in self.cpus}:
                user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
                ticks += user + nice + system + irq + softirq + steal
        return ticks / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def own():
        """Seconds of this process and of the children that have ended."""
        usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    def others(self):
        """The share of the CPUs' time that others had, 0 to 1."""
        wall, busy, own = (now - then for now, then in
                           zip((time.perf_counter(), self.busy(), self.own()), self.start))
        return max(0.0, busy - own) / (wall * len(self.cpus))
