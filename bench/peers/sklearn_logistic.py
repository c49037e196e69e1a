"""Fits scikit-learn's logistic regression to standardised columns: the peer of bench/linear/fit.ts."""
import json
import os
import statistics
import sys
import time

# As many threads as the peer has, for its matrices too: to be said before they are loaded.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = sys.argv[6]

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

file, rows, features, l2, into = sys.argv[1:6]
rows, features = int(rows), int(features)
data = numpy.fromfile(file, dtype=numpy.float32).reshape(features + 1, rows)
x, y = data[:features].T.astype(numpy.float64), data[features]


def fit(tolerance):
    started = time.perf_counter()
    standardised = StandardScaler().fit_transform(x)
    model = LogisticRegression(C=1 / float(l2), tol=tolerance, max_iter=1_000).fit(standardised, y)
    return model, 1_000 * (time.perf_counter() - started)


# The times are those of its default tolerance; the coefficients to compare with are those of a finer one.
times = []
for _ in range(int(sys.argv[7])):
    model, ms = fit(1e-4)
    times.append(ms)
exact, exact_ms = fit(1e-9)
with open(into, "w", encoding="utf-8") as target:
    json.dump([*map(float, exact.coef_[0]), float(exact.intercept_[0])], target)
print(
    json.dumps(
        {
            "first_ms": times[0],
            "ms": statistics.median(times[1:]),
            "iterations": int(model.n_iter_[0]),
            "fine_ms": exact_ms,
        }
    )
)
