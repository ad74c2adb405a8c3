"""The plots beside results.md: bars with numbers at their ends, tlc in a colour of its own."""

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

OWN, OTHER = "#c44e52", "#8c9db5"


def draw_bars(axes, title, entries, unit):
    """entries: (label, value, whether it is tlc's), the least on top."""
    entries = sorted(entries, key=lambda entry: -entry[1])
    axes.barh([label for label, _, _ in entries], [value for _, value, _ in entries],
              color=[OWN if own else OTHER for _, _, own in entries], height=0.7)
    for i, (_, value, _) in enumerate(entries):
        text = f" {value:.0f}" if value >= 100 else f" {value:.3g}"
        axes.text(value, i, text, va="center", fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def plot_inference(path, rows):
    rows = [row for row in rows if not row.level]
    batches = sorted({row.batch for row in rows})
    figure, axes = pyplot.subplots(2, len(batches), figsize=(5.5 * len(batches), 7), squeeze=False)
    for column, batch in enumerate(batches):
        for line, bits in enumerate((32, 16)):
            entries = [(row.title, row.median(), row.name == "tlc") for row in rows
                       if (row.batch, row.bits) == (batch, bits)]
            draw_bars(axes[line][column], f"VGG16, batch {batch}, "
                      f"{'fp32' if bits == 32 else '16 bits'}", entries, "ms a picture, median")
    save(figure, path)


def plot_training(path, rows):
    phases = list(dict.fromkeys(row.what for row in rows))
    figure, axes = pyplot.subplots(1, len(phases), figsize=(4.5 * len(phases), 3.5), squeeze=False)
    for column, what in enumerate(phases):
        draw_bars(axes[0][column], f"training step: {what}",
                  [(row.title, row.median() / 1e3, row.name == "tlc") for row in rows
                   if row.what == what], "s a step of 32, median")
    save(figure, path)


def plot_layers(path, tables):
    shown = {key: lines for key, lines in tables.items() if lines}
    figure, axes = pyplot.subplots(1, len(shown), figsize=(5 * len(shown), 4.5), squeeze=False)
    for panel, ((title, level), lines) in zip(axes[0], shown.items()):
        labels = [" + ".join(name.removeprefix("block") for name in names)
                  for names, *_ in lines][::-1]
        values = [100 * least / ms for *_, ms, least in lines][::-1]
        panel.barh(labels, values, color=OWN, height=0.7)
        for i, value in enumerate(values):
            panel.text(value, i, f" {value:.0f}", va="center", fontsize=8)
        panel.set_title(f"{title}, {level}", fontsize=10, loc="left")
        panel.set_xlabel("% of the floor", fontsize=8)
        panel.set_xlim(0, max(110, *values))
        panel.axvline(100, color="black", linewidth=0.8)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def write(folder, bench, tables):
    if bench.inference:
        plot_inference(folder / "inference.png", bench.inference)
    if bench.training:
        plot_training(folder / "training.png", bench.training)
    if any(tables.values()):
        plot_layers(folder / "layers.png", tables)
