"""How schemathesis writes what `deno task fuzz` sends besides JSON: lines of JSON, and tensors as bytes behind it."""
import json
import math

import schemathesis
from schemathesis.transport.serialization import serialize_binary

JSON_LENGTH = "Inference-Header-Content-Length"
SIZES = {"FP32": 4, "FP64": 8, "INT64": 8, "FP16": 2, "BF16": 2, "BOOL": 1, "BYTES": 5}


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """The value as a line, twice, and a piece of it: lines share a call, and a bad one is told alone."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    line = json.dumps(value)
    return "\n".join([line, line, line[: len(line) // 2]]).encode()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes most of the requests that are made up such that a model could answer them."""
    if not case.path.endswith("/infer"):
        return
    if case.media_type == "application/octet-stream":
        say_what_bytes_are(case)
    elif isinstance(case.body, dict) and len(str(case.body)) % 4 != 0:
        fit_data(case.body.get("inputs"))


def say_what_bytes_are(case):
    data = serialize_binary(case.body)
    if not data or data[0] % 4 == 0:
        return
    datatype = list(SIZES)[data[0] % len(SIZES)]
    # Sometimes more or fewer than there are.
    rows = len(data) // SIZES[datatype] + (data[0] % 16 == 1)
    head = json.dumps({
        "inputs": [{
            "name": "features",
            "datatype": datatype,
            "shape": [rows, 1],
            "parameters": {"binary_data_size": len(data)},
        }],
        "parameters": {"binary_data_output": data[0] % 2 == 1},
    }).encode()
    case.body = head + data
    case.headers[JSON_LENGTH] = str(len(head))


def fit_data(inputs):
    """One tensor with as many values as its shape says: those that were made up, again and again."""
    if not isinstance(inputs, list) or not inputs or not isinstance(inputs[0], dict):
        return
    del inputs[1:]
    [tensor] = inputs
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size <= 4096 for size in shape):
        return
    given = tensor.get("data")
    given = given if isinstance(given, list) and given else [1]
    tensor["data"] = [given[at % len(given)] for at in range(min(math.prod(shape), 4096))]
    tensor.pop("parameters", None)
