"""A model behind FastAPI, as most are served: the peer of bench/predict.ts. MODEL names an ONNX file.

POST /def and /async run it with ONNX Runtime, /pickle a scikit-learn forest that went through joblib, as an estimator
that is served as it was trained does.
"""
import io
import os

import joblib
import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel, Field, create_model
from sklearn.ensemble import GradientBoostingClassifier

FEATURES = 20
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

Row = create_model(
    "Row", **{f"f{at}": (float, Field(alias=f"bench.f{at}")) for at in range(FEATURES)}
)


class Request(BaseModel):
    rows: list[Row]


def pickled():
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, (2000, FEATURES))
    forest = GradientBoostingClassifier(n_estimators=100, max_depth=6).fit(x, x.sum(axis=1) > 0)
    file = io.BytesIO()
    joblib.dump(forest, file)
    file.seek(0)
    return joblib.load(file)


estimator = pickled()
app = FastAPI()


def to_array(request):
    return np.array([list(row.model_dump().values()) for row in request.rows], dtype=np.float32)


@app.post("/def")
def predict(request: Request):
    return {"predictions": session.run(None, {"features": to_array(request)})[0].tolist()}


@app.post("/async")
async def predict_async(request: Request):
    return {"predictions": session.run(None, {"features": to_array(request)})[0].tolist()}


@app.post("/pickle")
def predict_pickle(request: Request):
    return {"predictions": estimator.predict_proba(to_array(request))[:, 1].tolist()}


@app.get("/ready")
def ready():
    return {}
