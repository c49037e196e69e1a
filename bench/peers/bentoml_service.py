"""The same model behind BentoML with its adaptive batching: a peer of bench/predict.ts. MODEL names an ONNX file."""
import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Forest:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=100)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"features": rows.astype(np.float32)})[0]
