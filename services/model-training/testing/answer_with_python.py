"""Checks ONNX files and answers rows with them: what `onnx_python_test.ts` compares with the trainers' own answers."""
import json
import sys

import numpy
import onnx
import onnxruntime

for folder in sys.argv[1:]:
    onnx.checker.check_model(onnx.load(f"{folder}/model.onnx"), full_check=True)
    with open(f"{folder}/rows.json", encoding="utf-8") as source:
        given = json.load(source)
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    feeds = {}
    for value in session.get_inputs():
        cells = given[value.name]
        kind = object if value.type == "tensor(string)" else numpy.float32
        rows = [[numpy.nan if cell is None else cell for cell in row] for row in cells]
        feeds[value.name] = numpy.array(rows, dtype=kind)
    (answers,) = session.run(None, feeds)
    with open(f"{folder}/answers.json", "w", encoding="utf-8") as target:
        json.dump([float(answer) for answer in answers.ravel()], target)
