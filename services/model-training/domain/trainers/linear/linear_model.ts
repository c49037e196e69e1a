import type { Task } from "shared/contracts/signature.ts";
import { ELEMENT_TYPE, type Node, type Tensor } from "shared/onnx/model_proto.ts";
import { COLUMNS, type Estimator, SCORES } from "../../model_file.ts";
import type { LinearFit } from "./fit_linear.ts";

/**
 * In float64 up to the answer: with float32, the difference between a large value and a large mean would be off by more
 * than the 1e-5 that a file's answers may differ from the trainer's. A category's weights are looked up by its code.
 */
export function linearNodes(
  { standardiser, flagShares, parameters, outputs }: LinearFit,
  task: Task,
): Pick<Estimator, "nodes" | "initializers"> {
  const { numbers, categories, means, factors, codes } = standardiser;
  const width = parameters.length / outputs;
  const firsts = codes.map((_, index) =>
    codes.slice(0, index).reduce((sum, count) => sum + count, numbers.length)
  );
  const meanWeights = codes.map((count, index) =>
    Array.from({ length: outputs }, (_, output) => {
      let mean = 0;
      for (let place = firsts[index]!; place < firsts[index]! + count; place++) {
        mean += flagShares[place - numbers.length]! * parameters[output * width + place]!;
      }
      return mean;
    })
  );
  const nodes: Node[] = [];
  const initializers: Tensor[] = [];
  const constant = (name: string, dims: number[], value: (...at: number[]) => number) => {
    const [rows, columns = 1] = dims;
    const data = Float64Array.from(
      { length: rows! * columns },
      (_, i) => value(Math.floor(i / columns), i % columns),
    );
    initializers.push({ name, dims, type: "double", data });
    return name;
  };
  const int64 = (name: string, values: readonly number[]) => {
    initializers.push({
      name,
      dims: [values.length],
      type: "int64",
      data: BigInt64Array.from(values, BigInt),
    });
    return name;
  };
  const call = (op: string, inputs: string[], output: string, attributes: Node["attributes"] = {}) => {
    nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  };
  const weightAt = (parameter: number, output: number) => parameters[output * width + parameter]!;

  // Of each category the mean weight over the training rows goes to the intercept: what is left of a weight is what the
  // category does to an average row.
  let score = constant(
    "intercept",
    [outputs],
    (output) => weightAt(width - 1, output) + meanWeights.reduce((sum, means) => sum + means[output]!, 0),
  );
  if (numbers.length > 0) {
    const own = categories.length === 0
      ? COLUMNS
      : call("Gather", [COLUMNS, int64("numbers", numbers)], "numbers_alone", { axis: { int: 1 } });
    const raw = call("Cast", [own], "raw", { to: { int: ELEMENT_TYPE.double } });
    const missing = call("IsNaN", [raw], "missing");
    constant("means", [numbers.length], (i) => means[i]!);
    constant("factors", [numbers.length], (i) => factors[i]!);
    constant("weights", [numbers.length, outputs], weightAt);
    const imputed = call("Where", [missing, "means", raw], "imputed");
    const centred = call("Sub", [imputed, "means"], "centred");
    const standardised = call("Mul", [centred, "factors"], "standardised");
    score = call("Add", [call("MatMul", [standardised, "weights"], "weighted"), score], "score");
  }
  categories.forEach((feature, index) => {
    const column = call("Gather", [COLUMNS, int64(`category_${index}`, [feature])], `code_${index}`, {
      axis: { int: 1 },
    });
    const code = call("Cast", [column], `integer_${index}`, { to: { int: ELEMENT_TYPE.int64 } });
    const flat = call("Reshape", [code, int64(`flat_${index}`, [-1])], `row_${index}`);
    const from = firsts[index]!;
    const table = constant(
      `weights_${index}`,
      [codes[index]!, outputs],
      (place, output) => weightAt(from + place, output) - meanWeights[index]![output]!,
    );
    score = call("Add", [call("Gather", [table, flat], `weight_${index}`), score], `score_${index}`);
  });
  const answer = task === "binary"
    ? call("Sigmoid", [score], "precise")
    : task === "multiclass"
    ? call("Softmax", [score], "precise", { axis: { int: 1 } })
    : score;
  call("Cast", [answer], SCORES, { to: { int: ELEMENT_TYPE.float } });
  return { nodes, initializers };
}
