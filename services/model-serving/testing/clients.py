"""The unchanged clients of Triton and KServe against a served model: argv[1] is host:port, argv[2] the model.

The model answers a row of two numbers with their sum. Prints one line of JSON: what each client saw.
"""
import asyncio
import json
import sys

import numpy as np


def triton(address, model):
    import tritonclient.http as http

    client = http.InferenceServerClient(address)
    rows = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
    answers = {}
    for binary in (True, False):
        features = http.InferInput("features", list(rows.shape), "FP32")
        features.set_data_from_numpy(rows, binary_data=binary)
        outputs = [
            http.InferRequestedOutput("value", binary_data=binary),
            http.InferRequestedOutput("prediction_id", binary_data=binary),
        ]
        result = client.infer(model, [features], outputs=outputs, request_id="17")
        assert result.get_response()["id"] == "17"
        ids = result.as_numpy("prediction_id")
        assert len(set(ids)) == 3
        answers["binary" if binary else "json"] = result.as_numpy("value").tolist()
    plain = http.InferInput("features", list(rows.shape), "FP32")
    plain.set_data_from_numpy(rows)
    answers["default"] = client.infer(model, [plain]).as_numpy("value").tolist()
    for packing in ("gzip", "deflate"):
        result = client.infer(
            model,
            [plain],
            request_compression_algorithm=packing,
            response_compression_algorithm=packing,
        )
        answers[packing] = result.as_numpy("value").tolist()
    half = http.InferInput("features", list(rows.shape), "FP16")
    half.set_data_from_numpy(rows.astype(np.float16))
    answers["half"] = client.infer(model, [half]).as_numpy("value").tolist()
    wide = http.InferInput("features", list(rows.shape), "INT64")
    wide.set_data_from_numpy(rows.astype(np.int64))
    answers["int64"] = client.infer(model, [wide], model_version="1").as_numpy("value").tolist()
    try:
        client.infer("other", [plain])
        answers["error"] = None
    except Exception as error:
        answers["error"] = str(error)
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "version_ready": client.is_model_ready(model, "1"),
        "other_ready": client.is_model_ready("other"),
        "server": client.get_server_metadata()["name"],
        "metadata": client.get_model_metadata(model),
        "repository": client.get_model_repository_index(),
        "answers": answers,
    }


async def kserve(address, model):
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    base = f"http://{address}"
    rows = np.array([[1, 2], [3, 4]], dtype=np.float32)
    answers = {}
    for binary in (True, False):
        features = InferInput("features", list(rows.shape), "FP32")
        features.set_data_from_numpy(rows, binary_data=binary)
        request = InferRequest(model_name=model, infer_inputs=[features])
        response = await client.infer(base, request, model_name=model)
        answers["binary" if binary else "json"] = response.outputs[0].as_numpy().tolist()
    return {
        "live": await client.is_server_live(base),
        "ready": await client.is_server_ready(base),
        "model_ready": await client.is_model_ready(base, model),
        "answers": answers,
    }


def main():
    address, model, wanted = sys.argv[1:4]
    seen = triton(address, model) if wanted == "triton" else asyncio.run(kserve(address, model))
    print(json.dumps(seen))


main()
