"""Records what Keras's metrics make of a few rows, as tests/unit/metric_cases.h.

Three batches of rows; scores among which are ties, numbers on a threshold and numbers beyond [0, 1].
"""

import pathlib

import numpy as np

from model import keras

HEADER = pathlib.Path(__file__).resolve().parent.parent / "unit" / "metric_cases.h"
BATCHES, ROWS = 3, 7

M = keras.metrics
BINARY = [(M.BinaryAccuracy, {}), (M.BinaryAccuracy, {"threshold": 0.7}), (M.Precision, {}),
          (M.Precision, {"thresholds": 0.25}), (M.Recall, {}), (M.Recall, {"thresholds": 0.9}),
          (M.AUC, {}), (M.AUC, {"num_thresholds": 7}), (M.AUC, {"curve": "PR"}),
          (M.AUC, {"curve": "PR", "num_thresholds": 5}),
          (M.AUC, {"summation_method": "minoring", "num_thresholds": 11}),
          (M.AUC, {"summation_method": "majoring", "num_thresholds": 11}),
          (M.AUC, {"curve": "PR", "summation_method": "majoring", "num_thresholds": 4}),
          (M.AUC, {"curve": "PR", "summation_method": "minoring", "num_thresholds": 4}),
          (M.AUC, {"from_logits": True}), (M.BinaryAccuracy, {"threshold": -0.25}),
          (M.AUC, {"thresholds": [0.7, 0.1, 0.15]}), (M.AUC, {"thresholds": [0.5, 0.25, 0.75]}),
          (M.AUC, {"thresholds": [0, 0.3, 1], "curve": "PR"}), (M.AUC, {"curve": "PRGAIN"}),
          (M.AUC, {"curve": "PRGAIN", "summation_method": "majoring", "num_thresholds": 6}),
          (M.AUC, {"multi_label": True}), (M.AUC, {"multi_label": True, "curve": "PR"}),
          (M.AUC, {"multi_label": True, "thresholds": [0.2, 0.3, 0.7], "from_logits": True})]
ONE_HOT = BINARY + [(M.CategoricalAccuracy, {}), (M.TopKCategoricalAccuracy, {}),
                    (M.TopKCategoricalAccuracy, {"k": 2}), (M.TopKCategoricalAccuracy, {"k": 1}),
                    (M.Precision, {"class_id": 2}), (M.Recall, {"class_id": 0}),
                    (M.Precision, {"top_k": 2}), (M.Recall, {"top_k": 3}),
                    (M.Recall, {"top_k": 3, "thresholds": 0.3}), (M.Recall, {"top_k": 6}),
                    (M.Precision, {"top_k": 2, "class_id": 1})]
SPARSE = [(M.SparseCategoricalAccuracy, {}), (M.SparseTopKCategoricalAccuracy, {"k": 3}),
          (M.SparseTopKCategoricalAccuracy, {"k": 1})]
KINDS = {M.BinaryAccuracy: "BINARY_ACCURACY", M.CategoricalAccuracy: "CATEGORICAL_ACCURACY",
         M.SparseCategoricalAccuracy: "SPARSE_CATEGORICAL_ACCURACY",
         M.TopKCategoricalAccuracy: "TOP_K_CATEGORICAL_ACCURACY",
         M.SparseTopKCategoricalAccuracy: "SPARSE_TOP_K_CATEGORICAL_ACCURACY",
         M.Precision: "PRECISION", M.Recall: "RECALL", M.AUC: "AUC"}
SUMS = {"interpolation": "BETWEEN", "minoring": "LOWER", "majoring": "HIGHER"}


def fields(kind, options, units):
    """The metric as the runtime's table has it."""
    made = [f'.name = "{kind.__name__}"', f".kind = RT_{KINDS[kind]}"]
    if kind is M.BinaryAccuracy:
        made.append(f".threshold = {options.get('threshold', 0.5)}")
    if kind in (M.Precision, M.Recall):
        made.append(f".threshold = {options.get('thresholds', -1e10 if 'top_k' in options else 0.5)}")
        if "top_k" in options:
            made.append(f".k = {options['top_k']}")
        made.append(f".class_id = {options.get('class_id', -1)}")
    if "TopK" in kind.__name__:
        made.append(f".k = {options.get('k', 5)}")
    if kind is M.AUC:
        points = sorted(options.get("thresholds", []))
        made.append(f".thresholds = {len(points) + 2 if points else options.get('num_thresholds', 200)}")
        if points and points != [0.25, 0.5, 0.75]:  # evenly spread
            made.append(f".points = (const double[]){{{', '.join(map(str, points))}}}")
        if "multi_label" in options:
            made.append(f".labels = {units}")
        made.append(f".curve = RT_CURVE_{options.get('curve', 'ROC')}")
        made.append(f".sum = RT_SUM_{SUMS[options.get('summation_method', 'interpolation')]}")
        made.append(f".from_logits = {int(options.get('from_logits', False))}")
    return ", ".join(made)


def make_scores(units, random):
    """Softmax or single probabilities, some of them moved to where metrics are special."""
    scores = random.normal(size=(BATCHES * ROWS, units)) * 1.5
    scores = np.exp(scores) / (np.exp(scores).sum(-1, keepdims=True) if units > 1 else
                               1 + np.exp(scores))
    scores[1], scores[3], scores[9], scores[10] = 0.5, 0.25, 1.0, 0.0
    scores[4, :2] = scores[4].max()
    scores[12, 0], scores[13, 0] = 1.25, -0.5
    return scores.astype(np.float32)


def numbers(name, values):
    text = ", ".join(f"(real){value:.9g}" for value in values.ravel())
    return f"static const real {name}[] = {{{text}}};\n"


def record(kind, options, y, out):
    metric, values = kind(**options), []
    for batch in range(BATCHES):
        rows = slice(batch * ROWS, (batch + 1) * ROWS)
        metric.update_state(y[rows], out[rows])
        values.append(float(metric.result()))
    return values[0], values[-1]


def main():
    random = np.random.default_rng(11)
    arrays, rows = "", ""
    for name, units, metrics, labels in (("binary", 1, BINARY, 1), ("many", 4, BINARY, 4),
                                         ("one_hot", 6, ONE_HOT, 6), ("sparse", 6, SPARSE, 1)):
        out = make_scores(units, random)
        classes = random.integers(0, max(units, 2), BATCHES * ROWS)
        y = classes[:, None].astype(np.float32)
        if name == "many":
            y = random.integers(0, 2, out.shape).astype(np.float32)
        if name == "one_hot":
            y = np.eye(units, dtype=np.float32)[classes]
        arrays += numbers(f"{name}_y", y) + numbers(f"{name}_out", out)
        for kind, options in metrics:
            first, whole = record(kind, options, y[:, 0] if name == "sparse" else y, out)
            rows += (f"    {{{units}, {labels}, {{{fields(kind, options, units)}}}, {name}_y, {name}_out, "
                     f"{first:.9g}, {whole:.9g}}},\n")
    HEADER.write_text(
        "/* metric_cases.h: what Keras's metrics make of a few rows. Made by "
        "tests/parity/metrics.py. */\n/* clang-format off */\n"
        f"enum {{ CASE_BATCHES = {BATCHES}, CASE_ROWS = {ROWS} }};\n\n"
        "typedef struct {\n    int units, labels;\n    RtMetric metric;\n    const real *y, *out;\n"
        "    double first, all; /* after the first batch, after all */\n} MetricCase;\n\n"
        + arrays + "\nstatic const MetricCase cases[] = {\n" + rows + "};\n")


if __name__ == "__main__":
    main()
