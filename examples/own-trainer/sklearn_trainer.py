"""A trainer for MicroML: answers training.trainers.sklearn_forest with a random forest of scikit-learn."""

import asyncio, hashlib, io, json, os
import nats, pandas
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline


async def train(job, files, say):
    rows = pandas.read_parquet(io.BytesIO((await files.get(job["trainingSet"])).data))
    x, y = rows[job["features"]].astype("float32").to_numpy(), rows["label"].astype(int).to_numpy()
    await say({"progress": {"round": 0, "rounds": 1}})
    model = make_pipeline(SimpleImputer(), RandomForestClassifier(random_state=job["seed"], **job["parameters"]))
    await asyncio.to_thread(model.fit, x, y)
    shape = [("features", FloatTensorType([None, x.shape[1]]))]
    onnx = to_onnx(model, initial_types=shape, options={"zipmap": False}).SerializeToString()
    name = hashlib.sha256(onnx).hexdigest()
    await files.put(name, onnx)
    await say({"onnx": name, "facts": {"training_accuracy": model.score(x, y)}})


async def main():
    bus = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    files = await bus.jetstream().object_store("files")

    async def answer(message):
        say = lambda said: message.respond(json.dumps(said).encode())
        try:
            await train(json.loads(message.data), files, say)
        except Exception as error:
            await say({"error": f"{type(error).__name__}: {error}"})

    await bus.subscribe("training.trainers.sklearn_forest", queue="sklearn_forest", cb=answer)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
