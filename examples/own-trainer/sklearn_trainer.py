"""A trainer for MicroML: answers training.trainers.sklearn_forest with a random forest of scikit-learn."""

import asyncio, hashlib, io, json, os, platform
import nats, pandas, sklearn, skl2onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

VERSIONS = {"python": platform.python_version(), "scikit-learn": sklearn.__version__, "skl2onnx": skl2onnx.__version__}


async def train(job, files, say):
    rows = pandas.read_parquet(io.BytesIO((await files.get(job["trainingSet"])).data))
    texts = job["categories"]
    numbers = [name for name in job["features"] if name not in texts]
    x, y = rows[job["features"]].astype({name: "float32" for name in numbers}), rows["label"].astype(int)
    x[texts] = x[texts].fillna("")
    await say({"progress": {"round": 0, "rounds": 1}})
    model = make_pipeline(
        ColumnTransformer([
            ("numbers", SimpleImputer(), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
        ]),
        RandomForestClassifier(random_state=job["seed"], **job["parameters"]),
    )
    await asyncio.to_thread(model.fit, x, y)
    columns = [(name, (StringTensorType if name in texts else FloatTensorType)([None, 1])) for name in x.columns]
    onnx = skl2onnx.to_onnx(model, initial_types=columns, options={"zipmap": False}).SerializeToString()
    return onnx, {"training_accuracy": model.score(x, y)}


async def main():
    bus = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1)
    files = await bus.jetstream().object_store("files")

    async def answer(message):
        say = lambda said: message.respond(json.dumps(said).encode())
        try:
            onnx, facts = await train(json.loads(message.data), files, say)
            name = hashlib.sha256(onnx).hexdigest()
            await patiently(lambda: files.put(name, onnx))
            last = {"onnx": name, "facts": facts, "environment": VERSIONS}
        except Exception as error:
            last = {"error": f"{type(error).__name__}: {error}"}
        # As a request: it is acknowledged, so that an outage of NATS loses no result.
        await patiently(lambda: bus.request(message.reply, json.dumps(last).encode(), timeout=5))

    await bus.subscribe("training.trainers.sklearn_forest", queue="sklearn_forest", cb=answer)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def patiently(work, tries=60):
    for left in reversed(range(tries)):
        try:
            return await work()
        except nats.errors.Error:
            if left == 0:
                raise
            await asyncio.sleep(1)


asyncio.run(main())
