"""The bars: what tlc must reach beside the fastest peer of each row."""


class Bar:
    def __init__(self, what, measured, bar, most=True, unit=""):
        self.what, self.measured, self.bar, self.most, self.unit = what, measured, bar, most, unit

    def verdict(self):
        if self.measured is None:
            return "not measured"
        holds = self.measured <= self.bar if self.most else self.measured >= self.bar
        return "holds" if holds else "misses"

    def line(self):
        shown = "-" if self.measured is None else f"{self.measured:.2f}{self.unit}"
        return [self.what, shown, f"{'<=' if self.most else '>='} {self.bar:.2f}{self.unit}",
                self.verdict()]


def ratio(rows, own, others, value=lambda row: row.median()):
    """Of the one row for which own is true to the least of those for which others is."""
    ours = [value(row) for row in rows if row.name == "tlc" and own(row) and row.ms]
    theirs = [value(row) for row in rows if row.name != "tlc" and others(row) and row.ms]
    return ours[0] / min(theirs) if ours and theirs else None


def inference_bars(rows, amx):
    def speed(what, batch, precision, bits, bar, level="", peers=None):
        return Bar(f"{what}, b{batch}: to the fastest {'16-bit' if bits == 16 else 'fp32'} peer",
                   ratio(rows, lambda row: (row.precision, row.level, row.batch) ==
                         (precision, level, batch),
                         lambda row: (row.bits, row.level, row.batch) == (bits, level, batch) and
                         (not peers or row.name in peers)), bar)

    yield speed("highest", 1, "highest", 32, 0.58)
    yield speed("highest", 8, "highest", 32, 0.58)
    yield speed("medium", 1, "medium", 16, 0.80 if amx else 0.60)
    yield speed("medium", 8, "medium", 16, 0.70 if amx else 0.60)
    if amx:
        yield speed("high", 8, "high", 32, 0.45)
    yield speed("AVX2 only (OpenVINO, PyTorch)", 1, "highest", 32, 0.70, "avx2",
                ("openvino", "torch"))
    for bits, precision in ((32, "highest"), (16, "medium")):
        yield Bar(f"peak memory, inference b1, {precision}: to the smallest peer",
                  ratio(rows, lambda row: (row.precision, row.level, row.batch) ==
                        (precision, "", 1),
                        lambda row: (row.bits, row.level, row.batch) == (bits, "", 1),
                        lambda row: row.peak_bytes), 0.75)


STEPS = {"head": "head step, frozen base, augmentation", "block5": "block 5 + head step",
         "all": "everything trainable, a step"}
STEP_BARS = (("head", "highest", "fp32", 0.33), ("block5", "highest", "fp32", 0.36),
             ("block5", "medium", "bf16", 0.60), ("all", "highest", "fp32", 0.45),
             ("all", "medium", "bf16", 0.72))


def training_bars(rows):
    for what, precision, other, bar in STEP_BARS:
        yield Bar(f"{STEPS[what]}, {precision}: to Keras {other}",
                  ratio(rows, lambda row: (row.what, row.precision) == (what, precision),
                        lambda row: (row.what, row.name, row.precision) ==
                        (what, "keras", other)), bar)
    for what in STEPS:
        for precision, bits in (("highest", 32), ("medium", 16)):
            yield Bar(f"peak memory, training {what}, {precision}: to the smallest peer",
                      ratio(rows, lambda row: (row.what, row.precision) == (what, precision),
                            lambda row: (row.what, row.bits) == (what, bits),
                            lambda row: row.peak_bytes), 0.60)


def start_bars(rows):
    ours = [row.median() for row in rows if row.name == "tlc" and row.ms]
    yield Bar("process start to first prediction", ours[0] / 1e3 if ours else None, 0.6, unit=" s")
    yield Bar("process start to first prediction: to the fastest peer",
              ratio(rows, lambda row: True, lambda row: True), 0.2)


LAYER_BARS = {"avx512": 0.80, "avx2": 0.65, "amx": 0.55}


def layer_bars(tables, speedup):
    for (title, level), lines in tables.items():
        bar = next((bar for name, bar in LAYER_BARS.items() if name in level), None)
        if bar and lines:
            names, _, _, ms, least = min(lines, key=lambda line: line[4] / line[3])
            yield Bar(f"{title}, {level}: worst 3x3 layer ({', '.join(names)}), of its floor",
                      least / ms, bar, most=False)
    yield Bar("1 -> 2 threads on convolutions", speedup, 1.9, most=False, unit="x")
