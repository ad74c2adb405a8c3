"""Records what Keras's callbacks and learning-rate schedules do, for tests/unit/callbacks.c, and their
options, for tests/compiler/callbacks.c:

    build/parity-venv/bin/python tests/callbacks/record.py

writes recorded.json and options.json beside this file. Histories are made up: random walks of the four numbers that a
training with validation logs, with ties, plateaus and now and then a NaN or an infinity. In the JSON
NaN is null, infinities are strings, true and false are 1 and 0."""

import inspect
import json
import math
import os
import pathlib
import random
import tempfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402
import numpy as np  # noqa: E402

HERE = pathlib.Path(__file__).parent
LOGS = ["accuracy", "loss", "val_accuracy", "val_loss"]
draw = random.Random(20260823)


def make_model(rate):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(rate), loss="mse", metrics=["accuracy"])
    model.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))  # builds the metrics
    return model


def make_history():
    """A list of epochs, each the four numbers in the order of LOGS."""
    rough = draw.choice([1e-5, 1e-3, 0.05, 0.3])
    digits = draw.choice([2, 3, 4, 8])  # few: ties
    values = [draw.random() for _ in LOGS]
    history = []
    for _ in range(draw.randint(3, 24)):
        if draw.random() < 0.8:  # else a plateau
            values = [abs(v + draw.gauss(-0.1 if "loss" in n else 0.1, 1) * rough)
                      for n, v in zip(LOGS, values)]
        row = [round(v, digits) for v in values]
        if draw.random() < 0.02:
            row[draw.randrange(4)] = draw.choice([math.nan, math.inf, -math.inf])
        history.append(row)
    return history


def run(callback, history, rate=0.1):
    """The epochs of a fit; what was decided in each."""
    model = make_model(rate)
    saved = []
    model.save_weights = lambda path, **_: saved.append(str(path))
    callback.set_model(model)
    callback.on_train_begin()
    epochs = []
    for epoch, row in enumerate(history):
        callback.on_epoch_begin(epoch)
        model.set_weights([np.full((1, 1), epoch + 1, "float32")])
        logs = dict(zip(LOGS, row))
        saved.clear()
        callback.on_epoch_end(epoch, logs)
        epochs.append({"rate": float(model.optimizer.learning_rate.numpy()),
                       "logged": logs.get("learning_rate"), "saved": list(saved)})
        if model.stop_training:
            break
    callback.on_train_end()
    return {"epochs": epochs, "weight": float(model.get_weights()[0][0, 0])}


def monitor_options():
    options = {"monitor": draw.choice(LOGS), "mode": draw.choice(["auto", "auto", "min", "max"])}
    return options


def record_monitor(kind, options, rate=0.1):
    callback = getattr(keras.callbacks, kind)(**options)
    history = make_history()
    result = run(callback, history, rate)
    maximize = callback.monitor_op is keras.src.ops.greater
    return {"type": kind, "options": options, "maximize": maximize, "rate": rate,
            "history": history, **result}


def record_stopping():
    options = monitor_options()
    options |= {"patience": draw.randint(0, 5), "min_delta": draw.choice([0, 0, 1e-4, -0.01, 0.05]),
                "start_from_epoch": draw.choice([0, 0, 0, 2, 5]),
                "restore_best_weights": draw.random() < 0.6}
    if draw.random() < 0.4:
        options["baseline"] = round(draw.random(), 2)
    return record_monitor("EarlyStopping", options)


def record_plateau():
    options = monitor_options()
    options |= {"patience": draw.randint(0, 4), "factor": draw.choice([0.1, 0.5, 0.9, 0.0]),
                "min_delta": draw.choice([1e-4, 0, 0.01]), "cooldown": draw.choice([0, 0, 1, 3]),
                "min_lr": draw.choice([0.0, 0.001, 0.02])}
    return record_monitor("ReduceLROnPlateau", options, draw.choice([0.1, 0.001, 1e-5]))


FILES = ["w-{epoch:02d}-{val_loss:.4f}", "{epoch}_{accuracy}", "best"]


def record_checkpoint():
    options = monitor_options()
    options |= {"save_best_only": draw.random() < 0.8, "save_weights_only": True}
    if draw.random() < 0.3:
        options["initial_value_threshold"] = round(draw.random(), 2)
    file = draw.choice(FILES)
    case = record_monitor("ModelCheckpoint", options | {"filepath": file + ".weights.h5"})
    case["options"].pop("filepath")
    for epoch in case["epochs"]:
        epoch["saved"] = [path.removesuffix(".weights.h5") for path in epoch["saved"]]
    return case | {"file": file}


def record_csv(separator, validation, rate):
    """The rows that a training leaves; with the learning rate as another callback adds it."""
    rows = [row if validation else row[:2] for row in make_history()]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "log.csv"
        callback = keras.callbacks.CSVLogger(path, separator)
        callback.on_train_begin()
        for epoch, row in enumerate(rows):
            logs = dict(zip(LOGS, row))
            if rate:
                logs["learning_rate"] = float(np.float32(rate))
            callback.on_epoch_end(epoch, logs)
        callback.on_train_end()
        return {"separator": separator, "rate": rate, "history": rows,
                "file": path.read_bytes().decode()}


def make_schedules():
    make = [("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 100,
                                  "decay_rate": 0.96, "staircase": s}) for s in (False, True)]
    make += [("InverseTimeDecay", {"initial_learning_rate": 0.05, "decay_steps": 37,
                                   "decay_rate": 0.5, "staircase": s}) for s in (False, True)]
    make += [("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 500, "power": p,
                                  "cycle": c, "end_learning_rate": 0.001})
             for p in (1.0, 0.5, 2.0) for c in (False, True)]
    make += [("PolynomialDecay", {"initial_learning_rate": 0.01, "decay_steps": 64})]
    make += [("PiecewiseConstantDecay", {"boundaries": b, "values": v})
             for b, v in (([10, 100], [0.1, 0.01, 0.001]), ([0], [1.0, 0.5]),
                          ([1, 2, 3, 1000], [0.5, 0.4, 0.3, 0.2, 0.1]))]
    make += [("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 1000, "alpha": a})
             for a in (0.0, 0.1)]
    make += [("CosineDecay", {"initial_learning_rate": i, "decay_steps": 800, "alpha": a,
                              "warmup_target": t, "warmup_steps": w})
             for i, a, t, w in ((0.0, 0.0, 0.1, 100), (0.01, 0.2, 0.3, 50), (0.1, 0.0, 0.05, 0))]
    return make


def record_schedule(kind, options):
    schedule = getattr(keras.optimizers.schedules, kind)(**options)
    steps = sorted({*range(12), 36, 37, 38, 63, 64, 65, 74, 99, 100, 101, 199, 200, 499, 500, 501,
                    799, 800, 849, 850, 899, 900, 901, 999, 1000, 1001, 1500, 2000, 12345, 10**6}
                   | {draw.randrange(3000) for _ in range(40)})
    return {"type": kind, "options": options, "steps": steps,
            "rates": [float(schedule(step)) for step in steps]}


def record_scheduler(kind, options):
    """The callback, by the epoch."""
    schedule = getattr(keras.optimizers.schedules, kind)(**options)
    callback = keras.callbacks.LearningRateScheduler(lambda epoch, rate: float(schedule(epoch)))
    result = run(callback, make_history())
    return {"type": kind, "options": options,
            "rates": [epoch["rate"] for epoch in result["epochs"]]}


def record_options():
    """The arguments of each, with their defaults; those without one are left out."""
    kinds = [getattr(keras.callbacks, name) for name in (
        "ModelCheckpoint", "EarlyStopping", "ReduceLROnPlateau", "LearningRateScheduler",
        "CSVLogger", "TensorBoard", "TerminateOnNaN")]
    kinds += [getattr(keras.optimizers.schedules, name) for name in (
        "ExponentialDecay", "CosineDecay", "PiecewiseConstantDecay", "PolynomialDecay",
        "InverseTimeDecay")]
    return [{"type": kind.__name__,
             "required": [p.name for p in inspect.signature(kind).parameters.values()
                          if p.default is p.empty and p.kind is not p.VAR_KEYWORD],
             "options": {p.name: p.default for p in inspect.signature(kind).parameters.values()
                         if p.default is not p.empty}} for kind in kinds]


def plain(value):
    """Without what JSON cannot say."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def main():
    schedules = make_schedules()
    recorded = {
        "keras": keras.__version__,
        "stopping": [record_stopping() for _ in range(150)],
        "plateau": [record_plateau() for _ in range(150)],
        "checkpoint": [record_checkpoint() for _ in range(40)],
        "csv": [record_csv(s, v, r) for s in (",", ";") for v in (True, False)
                for r in (None, 0.001)],
        "schedules": [record_schedule(*one) for one in schedules],
        "scheduler": [record_scheduler(*one) for one in schedules],
    }
    lines = [f'"keras": {json.dumps(recorded.pop("keras"))}']
    for key, cases in recorded.items():
        rows = ",\n".join(json.dumps(plain(case), allow_nan=False) for case in cases)
        lines.append(f'"{key}": [\n{rows}]')
    options = ",\n".join(json.dumps(plain(one)) for one in record_options())
    (HERE / "options.json").write_text("[\n" + options + "]\n")
    (HERE / "recorded.json").write_text("{" + ",\n".join(lines) + "}\n")


main()
