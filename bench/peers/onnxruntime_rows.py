"""Rows a second of native ONNX Runtime on one thread: the peer of bench/predict_batch.ts. Arguments: file, rows, seconds."""
import json
import sys
import time

import numpy
import onnxruntime

file, rows, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
features = numpy.random.default_rng(1).uniform(-1, 1, (rows, 20)).astype(numpy.float32)
for _ in range(20):
    session.run(None, {"features": features})
runs, started = 0, time.perf_counter()
while time.perf_counter() - started < seconds:
    session.run(None, {"features": features})
    runs += 1
print(json.dumps({"per_second": runs * rows / (time.perf_counter() - started)}))
