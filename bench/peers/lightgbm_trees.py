"""Fits LightGBM to a file of columns and says how long it took: the peer of bench/trees/fit.ts."""
import json
import re
import sys
import time

import lightgbm
import numpy

file, rows, features, threads, parameters = sys.argv[1:]
rows, features = int(rows), int(features)
given = json.loads(parameters)
data = numpy.memmap(file, dtype=numpy.float32, mode="r", shape=(features + 1, rows))
x = numpy.ascontiguousarray(data[:features].T)
y = numpy.array(data[features])
del data
started = time.perf_counter()
booster = lightgbm.train(
    {
        "objective": "binary",
        "num_leaves": given["maxLeaves"],
        "learning_rate": given["learningRate"],
        "min_data_in_leaf": given["minRowsPerLeaf"],
        "max_bin": 255,
        "num_threads": int(threads),
        "verbose": -1,
    },
    lightgbm.Dataset(x, y),
    given["rounds"],
)
seconds = time.perf_counter() - started
with open("/proc/self/status", encoding="utf-8") as status:
    peak = int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
p = numpy.clip(booster.predict(x[:100_000]), 1e-15, 1 - 1e-15)
t = y[:100_000]
loss = float(-numpy.mean(t * numpy.log(p) + (1 - t) * numpy.log(1 - p)))
print(json.dumps({"seconds": seconds, "peak_mb": peak / 1024, "loss": loss}))
