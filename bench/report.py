"""The tables of results.md."""

import datetime
import pathlib
import platform

from machine import cpu_name


def table(titles, lines):
    """Markdown; all columns but the first are numbers."""
    rule = ["---"] + ["---:"] * (len(titles) - 1)
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in [titles, rule, *lines]) + "\n"


def memory_bytes():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return 1024 * int(line.split()[1])
    return 0


def head(bench, what, peaks, cpus, others):
    versions = dict.fromkeys(row.version for row in bench.inference if not row.level)
    rates = [f"{name} {one:.0f} / {many:.0f} {'GB/s' if name == 'read' else 'GFLOP/s'}"
             for name, (one, many) in peaks.items()]
    lines = [f"{cpu_name()}, threads and CPUs used: {cpus}, {memory_bytes() / 2**30:.0f} GiB, "
             f"{platform.system()} {platform.release()}, {datetime.date.today()}.",
             f"Peaks measured, one thread / {cpus}: {', '.join(rates) or 'none'}.",
             f"Other programs used {100 * others:.0f} % of these CPUs meanwhile.",
             f"{what}",
             f"Versions: {'; '.join(versions)}; Python {platform.python_version()}."]
    lines += [f"Skipped: {reason}." for reason in bench.skipped]
    return "".join(f"- {line}\n" for line in lines)


def inference_table(rows):
    """Times a picture; the ratio is to the fastest peer of the same bits, batch and level."""
    lines = []
    for row in sorted(rows, key=lambda row: (row.batch, bool(row.level), -row.bits, row.median())):
        peers = [other.median() for other in rows if other.name != "tlc" and
                 (other.bits, other.batch, other.level) == (row.bits, row.batch, row.level)]
        ratio = f"{row.median() / min(peers):.2f}" if peers else "-"
        lines.append([row.title, row.batch, f"{row.least():.1f}", f"{row.median():.1f}",
                      f"{row.cpu_ms:.1f}", ratio, f"{row.peak_bytes / 2**20:.0f}"])
    return table(["VGG16, 224x224", "batch", "min, ms a picture", "median", "CPU, least",
                  "median to the fastest peer", "peak memory, MiB"], lines)


def training_table(rows):
    lines = [[f"{row.what}: {row.title}", f"{row.least() / 1e3:.2f}", f"{row.median() / 1e3:.2f}",
              f"{row.peak_bytes / 2**20:.0f}"]
             for row in sorted(rows, key=lambda row: [r.what for r in rows].index(row.what))]
    return table(["a step, 180x180, batch 32", "min, s", "median, s", "peak memory, MiB"], lines)


def start_table(rows):
    lines = [[row.title, f"{row.least() / 1e3:.2f}", f"{row.median() / 1e3:.2f}"]
             for row in sorted(rows, key=lambda row: row.median())]
    return table(["process start to first prediction", "min, s", "median, s"], lines)


def layer_table(lines):
    shown = [[", ".join(names), f"`{kernel}`", algorithm, f"{ms:.2f}", f"{least:.2f}",
              f"{100 * least / ms:.0f} %"] for names, kernel, algorithm, ms, least in lines]
    return table(["layers", "kernel", "algorithm", "ms", "floor, ms", "of the floor"], shown)


def write(top, bench, tables, bars):
    parts = ["# Measurements\n", top, "## Bars\n",
             table(["", "measured", "bar", ""], [bar.line() for bar in bars])]
    if bench.inference:
        parts += ["## Inference\n", "![](inference.png)\n", inference_table(bench.inference),
                  "## Start\n", start_table(bench.start)]
    if bench.training:
        parts += ["## Training\n", "![](training.png)\n", training_table(bench.training)]
    if any(tables.values()):
        parts += ["## Layers\n", "![](layers.png)\n"]
    for (title, level), lines in tables.items():
        if lines:
            parts += [f"### {title}, {level}, batch 1\n", layer_table(lines)]
    return "\n".join(parts)
