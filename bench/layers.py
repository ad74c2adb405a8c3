"""tlc's convolutions one by one: their times beside what the machine's peaks allow."""

import json
import os
import re
import subprocess

import network


def floor(kernel, size, channels, filters, peaks, level, threads):
    """(algorithm, milliseconds): the time of the multiplies alone at the machine's peak, or that of
    reading the weights once if it is longer. The kernel's name tells the algorithm: conv2d_… is
    direct, winograd_… is F(4,3), F(2,3) with f23 in its name; with bf16 in it, dot products are
    meant, with their own peak."""
    many = 1 if threads > 1 else 0
    rate = peaks["bf16" if "bf16" in kernel else level][many]
    if kernel.startswith("winograd"):
        tile = 2 if "_f23" in kernel or "winograd23" in kernel else 4
        multiplies, weights = frequencies(size, tile) ** 2, (tile + 2) ** 2
        name = f"F({tile},3)"
    else:
        multiplies, weights, name = 9 * size * size, 9, "direct"
    compute = 2e-6 * multiplies * channels * filters / rate
    bytes_ = weights * channels * filters * (2 if "bf16" in kernel else 4)
    return name, max(compute, 1e-6 * bytes_ / peaks["read"][many])


def frequencies(size, tile):
    """Along one side: tile + 2 for a whole tile, as many less as pixels are missing in the last."""
    rest = size % tile
    return size // tile * (tile + 2) + (rest + 2 if rest else 0)


def shapes():
    """name: (side, channels, filters), in order."""
    found = {}
    for name, kernel in network.layer_shapes():
        if name.startswith("block"):
            found[name] = network.SIZE >> int(name[5]) - 1, kernel[2], kernel[3]
    return found


def kernel_of_layer(source):
    """The calls of infer in the generated file, in order: (kernel, layer)."""
    infer = source[source.index("static void infer("):]
    infer = infer[:infer.index("\n}")]
    calls = re.findall(r"CALL\((\w+),(.*?)\);", infer, re.DOTALL)
    for kernel, rest in calls:
        found = re.search(r"OUT\(\s*infer_(\w+)", rest)
        yield kernel, found.group(1) if found else ""


def name_layers(calls, source):
    """[(kernel, layers, ms)] of the convolutions: the program's calls, in its order, found again in
    the file. A call that makes a layer which is not its input's successor does both (fused)."""
    lines, at, names, done, found = list(kernel_of_layer(source)), 0, list(shapes()), 0, []
    for call in calls:
        while at < len(lines) and lines[at][0] != call["kernel"]:
            at += 1
        if at == len(lines):
            at = 0  # the next pictures of the batch
            while at < len(lines) and lines[at][0] != call["kernel"]:
                at += 1
        kernel, output = lines[at] if at < len(lines) else (call["kernel"], "")
        at += 1
        if not kernel.startswith(("conv2d_", "winograd_")) or done >= len(names):
            continue
        last = max((i for i, name in enumerate(names) if output.startswith(name)), default=done)
        if output.endswith("_pool") and output[:6] in names[done]:
            last = max(i for i, name in enumerate(names) if name.startswith(output[:6]))
        if last < done:
            continue
        found.append((kernel, names[done:last + 1], call["ms"]))
        done = last + 1
    return found


def measure(row, threads, repeat):
    """A row of tlc's at batch 1: [(kernel, layers, ms)] of its convolutions, and all their ms."""
    folder = row.place.folder / row.name
    command = [folder / row.precision / "model", "bench", "--json", "--layers", "--batch", 1,
               "--repeat", repeat, "--threads", threads, "--weights",
               folder / "weights.safetensors", "--input", row.place.folder / "pictures.npy"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=True, env={**os.environ, **row.peer.environment(row.level)})
    found = json.loads(done.stdout.splitlines()[0])
    source = (folder / row.precision / "model.c").read_text()
    return found["level"], name_layers(found["calls"], source)


def table(row, peaks, threads, repeat):
    """(level, [(layers, kernel, algorithm, ms, floor ms)])."""
    level, calls = measure(row, threads, repeat)
    lines, known = [], shapes()
    if level not in peaks:
        return level, []
    for kernel, names, ms in calls:
        floors = [floor(kernel if known[name][1] > 3 else "conv2d_", *known[name], peaks, level,
                        threads) for name in names]
        lines.append((names, kernel, floors[-1][0], ms, sum(least for _, least in floors)))
    return level, lines
