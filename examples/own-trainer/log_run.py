"""Logs a run of your own training code to MicroML, over HTTP, with nothing but the standard library."""

import json, os, platform, urllib.request

URL = os.environ.get("TRAINING_URL", "http://127.0.0.1:8004")


def call(method, path, body, content_type="application/json"):
    data = json.dumps(body).encode() if content_type == "application/json" else body
    headers = {"content-type": content_type, "microml-actor": os.environ.get("USER", "someone")}
    request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    return json.load(urllib.request.urlopen(request))


run = call("POST", "/v1/logged-runs", {
    "project": "lab",
    "algorithm": "gradient descent",
    "parameters": {"rate": 0.1},
    "environment": {"python": platform.python_version()},
})["id"]
w = 0.0
for step in range(1, 51):
    w -= 0.1 * 2 * (w - 3)
    call("POST", f"/v1/runs/{run}/log", {
        "metrics": [{"name": "loss", "step": step, "value": (w - 3) ** 2}],
        "progress": step / 50,
    })
call("POST", f"/v1/runs/{run}/log", {"results": {"loss": (w - 3) ** 2}, "tags": {"kind": "toy"}, "lines": [f"w is {w}"]})
call("PUT", f"/v1/runs/{run}/artifacts/weights.json", json.dumps({"w": w}).encode(), "application/octet-stream")
call("POST", f"/v1/runs/{run}/finish", {})
print(run)
