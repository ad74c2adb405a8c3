"""The tables of results.md."""

import datetime
import pathlib
import platform
import statistics

from machine import cpu_name


def table(titles, lines):
    """Markdown; all columns but the first are numbers."""
    rule = ["---"] + ["---:"] * (len(titles) - 1)
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in [titles, rule, *lines]) + "\n"


def a_picture(row):
    """Milliseconds: the least, the median, and the least of CPU time."""
    return tuple(ms / row.batch for ms in (min(row.ms), statistics.median(row.ms), row.cpu_ms))


def inference_table(rows, baseline):
    base = {row.batch: a_picture(row) for row in rows if row.key == baseline}
    lines = []
    for row in rows:
        times = a_picture(row)
        ratios = [f"{time / other:.2f}" for time, other in zip(times, base.get(row.batch, ()))]
        lines.append([f"{row.name}, {row.precision}", row.batch, *(f"{time:.1f}" for time in times),
                      " / ".join(ratios) or "-", f"{row.peak_bytes / 2**20:.0f}"])
    return table(["VGG16, 224x224", "batch", "min, ms a picture", "median", "CPU",
                  "to ONNX Runtime (min / median / CPU)", "peak memory, MiB"], lines)


def training_table(steps):
    lines = [[f"{step['model']}, phase {step['what'].removeprefix('train ')}", step["batch"],
              f"{min(step['ms']):.0f}", f"{statistics.median(step['ms']):.0f}",
              f"{step['peak_bytes'] / 2**20:.0f}", f"{step['planned_bytes'] / 2**20:.0f}"]
             for step in steps]
    return table(["training step of tlc's", "batch", "min, ms a step", "median",
                  "peak memory, MiB", "`tlc plan`, MiB"], lines)


def memory_bytes():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return 1024 * int(line.split()[1])
    return 0


def write(rows, baseline, steps, cpus, others):
    versions = "; ".join(dict.fromkeys(row.version for row in rows))
    text = (f"{cpu_name()}, threads and CPUs used: {cpus}, {memory_bytes() / 2**30:.0f} GiB, "
            f"{platform.system()} {platform.release()}, {datetime.date.today()}.\n"
            f"Versions: {versions}; Python {platform.python_version()}.\n"
            f"{len(rows[0].ms)} runs of batch {rows[0].batch}, fewer of larger ones; other "
            f"programs used {100 * others:.0f} % of these CPUs meanwhile.\n\n")
    text += inference_table(rows, baseline)
    return text + ("\n" + training_table(steps) if steps else "")
