"""How well LightGBM predicts the parts of a matrix: the peer of the benchmark `quality`."""
import json
import sys

import lightgbm
import numpy
from sklearn.metrics import roc_auc_score, root_mean_squared_error

file, text = sys.argv[1:]
task = json.loads(text)
rows, features = task["rows"], task["features"]
data = numpy.fromfile(file, dtype=numpy.float32).reshape(features + 2, rows)
x, y, part = data[:features].T, data[features], data[features + 1]
values = []
for number in range(task["parts"]):
    test = part == number
    train = lightgbm.Dataset(x[~test], y[~test], categorical_feature=task["categories"], free_raw_data=False)
    booster = lightgbm.train(
        {
            "objective": "binary" if task["task"] == "binary" else "regression",
            "num_leaves": task["maxLeaves"],
            "learning_rate": task["learningRate"],
            "num_threads": 1,
            "verbose": -1,
        },
        train,
        task["rounds"],
    )
    answers = booster.predict(x[test])
    score = roc_auc_score if task["metric"] == "auc" else root_mean_squared_error
    values.append(score(y[test], answers))
print(json.dumps({"value": float(numpy.mean(values))}))
