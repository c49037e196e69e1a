/** The OpenAPI description of each model, made from its signature. @module */
import { z } from "zod";
import { lineAnswerSchema, lineQuestionSchema, NDJSON } from "shared/contracts/model_serving/predict_line.ts";
import { MODEL_TENSORS, type ModelInput, type Signature } from "shared/contracts/signature.ts";
import type { OpenApiDocument } from "shared/http/docs.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import { MAX_ROWS } from "./open_inference/infer_request.ts";
import { outputsOf } from "./open_inference/infer_response.ts";
import { DATATYPES } from "./open_inference/tensor.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import type { InputPolicy } from "./validation/row_checker.ts";

type Schema = Record<string, unknown>;

/** A media type whose body is an object. */
interface ObjectBody {
  schema: Schema & { properties: Record<string, Schema> };
}

/** An operation of any model, of which those of the single models are made. */
interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters: { name: string }[];
  requestBody: { content: { "application/json": ObjectBody } & Record<string, { schema: Schema }> };
  responses:
    & { 200: { content: Record<string, { schema: Schema }> } }
    & Record<number, { description: string }>;
}

const PREDICT = "/v1/models/{model}/predict";
const INFER = "/v2/models/{model}/infer";

const { $schema: _, ...question } = z.toJSONSchema(lineQuestionSchema, { io: "input" }) as Schema & {
  anyOf: { properties: Record<string, Schema> }[];
};
const { $schema: __, ...answer } = z.toJSONSchema(lineAnswerSchema, { io: "input" }) as Schema;

/** Adds lines of JSON to what any model takes, and paths for each served model, with the features that it takes. */
export function describeModels(
  document: OpenApiDocument,
  versions: readonly ServedVersion[],
  { policyOf }: { policyOf: (model: string) => InputPolicy },
): void {
  const paths = document.paths as unknown as Record<string, { post: Operation }>;
  const { requestBody, responses } = paths[PREDICT]!.post;
  requestBody.content[NDJSON] = { schema: linesOf(question) };
  responses[200].content[NDJSON] = { schema: linesOf(answer) };
  responses[422] = {
    ...responses[400]!,
    description: "The version can't be explained, or answers with NaN or infinity",
  };
  responses[504] = { ...responses[503]!, description: "The time that the request sets is over" };
  for (const served of versions) {
    const { model } = served.entry;
    const add = (path: string, describe: (operation: Operation) => void) => {
      const operation = ofModel(paths[path]!.post, served);
      describe(operation);
      paths[path.replace("{model}", model)] = { post: operation };
    };
    add(PREDICT, (operation) => describePredict(operation, served.signature, policyOf(model)));
    add(INFER, (operation) => describeInfer(operation, served.signature));
  }
}

/** OpenAPI 3.1 has no word for a sequence of values: the schema is that of each line. */
const linesOf = (line: Schema): Schema => ({
  description: "Of each line; a body has as many as it likes, and each is answered by one.",
  ...line,
});

function ofModel(any: Operation, { entry, signature }: ServedVersion): Operation {
  const operation = structuredClone(any);
  operation.operationId = `${any.operationId}-${entry.model}`;
  operation.summary = `${any.summary}: ${entry.model}, version ${entry.version} (${signature.task})`;
  operation.tags = [entry.model];
  operation.parameters = operation.parameters.filter(({ name }) => name !== "model");
  return operation;
}

function describePredict({ requestBody }: Operation, { inputs }: Signature, policy: InputPolicy): void {
  const needed = inputs.filter(({ nulls }) => nulls === "refuse").map(({ name }) => name);
  const object = (schemaOf: (input: ModelInput) => Schema, required = needed): Schema => ({
    type: "object",
    properties: Object.fromEntries(inputs.map((input) => [input.name, schemaOf(input)])),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: policy.unknown === "ignore",
  });
  const { properties } = requestBody.content["application/json"].schema;
  const row = object(valueSchema);
  // Of entities: what is not given is looked up.
  const features = object(valueSchema, []);
  properties["features"] = { ...properties["features"], items: features };
  properties["rows"] = { ...properties["rows"], items: row };
  properties["columns"] = object((input) => ({
    type: "array",
    minItems: 1,
    maxItems: 1_000,
    items: valueSchema(input),
  }));
  const anyOf = question.anyOf.map((one) => ({
    ...one,
    properties: { ...one.properties, ...("row" in one.properties ? { row } : { features }) },
  }));
  requestBody.content[NDJSON] = { schema: linesOf({ ...question, anyOf }) };
}

function valueSchema(input: ModelInput): Schema {
  const type = input.type === "number" ? "number" : "string";
  const known = input.type === "number"
    ? {}
    : input.unseen === "refuse"
    ? { enum: [...input.vocabulary, ...(input.nulls === "refuse" ? [] : [null])] }
    : { examples: input.vocabulary.slice(0, 5) };
  return { type: input.nulls === "refuse" ? type : [type, "null"], ...known };
}

function describeInfer({ requestBody }: Operation, signature: Signature): void {
  const { properties } = requestBody.content["application/json"].schema;
  const { numbers, categories } = shapeOf(signature);
  const any = properties["inputs"]!["items"] as ObjectBody["schema"];
  const rows = { type: "integer", minimum: 1, maximum: MAX_ROWS };
  const ofType = (type: ModelInput["type"]) => signature.inputs.filter((input) => input.type === type);
  const tensor = (type: ModelInput["type"], names: readonly string[], columns: number): Schema => {
    const isNullable = ofType(type).some(({ nulls }) => nulls === "as_trained");
    const named = type === "number" ? "number" : "string";
    const value = { type: isNullable ? [named, "null"] : named };
    return {
      ...any,
      properties: {
        ...any.properties,
        name: { enum: names },
        datatype: { enum: type === "number" ? DATATYPES.filter((name) => name !== "BYTES") : DATATYPES },
        shape: {
          type: "array",
          // One feature needs no second dimension.
          minItems: columns === 1 ? 1 : 2,
          maxItems: 2,
          prefixItems: [rows, { const: columns }],
        },
        data: { type: "array", items: { anyOf: [value, { type: "array", items: value }] } },
      },
    };
  };
  const groups = [
    { type: "number", name: MODEL_TENSORS.numbers, columns: numbers },
    { type: "category", name: MODEL_TENSORS.categories, columns: categories },
  ] as const;
  properties["inputs"] = {
    ...properties["inputs"],
    items: {
      anyOf: groups.filter(({ columns }) => columns > 0).flatMap(({ type, name, columns }) => [
        tensor(type, [name], columns),
        tensor(type, ofType(type).map(({ name }) => name), 1),
      ]),
    },
  };
  const output = properties["outputs"]!["items"] as ObjectBody["schema"];
  output.properties["name"] = { enum: outputsOf(signature).map(({ name }) => name) };
}
