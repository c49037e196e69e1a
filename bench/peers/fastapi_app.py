"""A model behind FastAPI, as most are served: the peer of bench/predict.ts. MODEL names an ONNX file.

POST /def and /async run it with ONNX Runtime, /pickle a scikit-learn forest that went through joblib, as an estimator
that is served as it was trained does. /logged/def and /logged/async also count and time the call for Prometheus and
log it to JetStream, off the caller's path, as ours does: NATS_URL says where.
"""
import asyncio
import io
import json
import os
import time
import uuid
from contextlib import asynccontextmanager

import joblib
import nats
import numpy as np
import onnxruntime
from fastapi import FastAPI
from prometheus_client import Counter, Histogram
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
requests = Counter("requests", "Calls", ["model", "version", "outcome"]).labels("forest", 1, "ok")
seconds = Histogram("predict_seconds", "From the call to its answer", ["model", "version"]).labels("forest", 1)


class Log:
    """Publishes in the background, at most so many records at a time; keeps count of what is acknowledged."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.room = asyncio.Semaphore(1_000)
        self.on_their_way = set()
        self.acknowledged = 0

    async def open(self):
        self.connection = await nats.connect(os.environ["NATS_URL"])
        self.stream = self.connection.jetstream()

    def append(self, record):
        task = self.loop.create_task(self.publish(json.dumps(record).encode()))
        self.on_their_way.add(task)
        task.add_done_callback(self.on_their_way.discard)

    async def publish(self, data):
        async with self.room:
            await self.stream.publish("predictions.fastapi", data)
            self.acknowledged += 1


@asynccontextmanager
async def lifespan(app):
    app.state.log = Log()
    await app.state.log.open()
    yield
    await app.state.log.connection.close()


app = FastAPI(lifespan=lifespan)


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


def predict_and_measure(request):
    began = time.perf_counter()
    array = to_array(request)
    output = session.run(None, {"features": array})[0].tolist()
    latency = time.perf_counter() - began
    requests.inc()
    seconds.observe(latency)
    record = {
        "id": str(uuid.uuid4()),
        "model": "forest",
        "version": 1,
        "servedAt": time.time(),
        "latencyMs": latency * 1_000,
        "rows": array.tolist(),
        "outputs": output,
    }
    return record, {"predictions": output}


@app.post("/logged/def")
def predict_logged(request: Request):
    record, answer = predict_and_measure(request)
    app.state.log.loop.call_soon_threadsafe(app.state.log.append, record)
    return answer


@app.post("/logged/async")
async def predict_logged_async(request: Request):
    record, answer = predict_and_measure(request)
    app.state.log.append(record)
    return answer


@app.get("/logged")
async def logged():
    """How many records were acknowledged since it was asked last, once none is on its way."""
    log = app.state.log
    while log.on_their_way:
        await asyncio.sleep(0.01)
    count, log.acknowledged = log.acknowledged, 0
    return count


@app.get("/ready")
def ready():
    return {}
