/** The OpenAPI description of each model, made from its signature. @module */
import type { ModelInput } from "shared/contracts/signature.ts";
import type { OpenApiDocument } from "shared/http/docs.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import type { InputPolicy } from "./validation/row_checker.ts";

type Schema = Record<string, unknown>;

/** The operation of any model, of which those of the single models are made. */
interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters: { name: string }[];
  requestBody: { content: { "application/json": { schema: { properties: Record<string, Schema> } } } };
}

const ANY_MODEL = "/v1/models/{model}/predict";

/** Adds a path for each served model, with the features that it takes. */
export function describeModels(
  document: OpenApiDocument,
  versions: readonly ServedVersion[],
  { policyOf }: { policyOf: (model: string) => InputPolicy },
): void {
  const paths = document.paths as unknown as Record<string, { post: Operation }>;
  for (const { entry, signature } of versions) {
    const operation = structuredClone(paths[ANY_MODEL]!.post);
    operation.operationId = `predict-${entry.model}`;
    operation.summary = `Predict with ${entry.model}, version ${entry.version}: ${signature.task}`;
    operation.tags = [entry.model];
    operation.parameters = operation.parameters.filter(({ name }) => name !== "model");
    const { properties } = operation.requestBody.content["application/json"].schema;
    const isOpen = policyOf(entry.model).unknown === "ignore";
    const required = signature.inputs.filter(({ nulls }) => nulls === "refuse").map(({ name }) => name);
    const object = (schemaOf: (input: ModelInput) => Schema): Schema => ({
      type: "object",
      properties: Object.fromEntries(signature.inputs.map((input) => [input.name, schemaOf(input)])),
      ...(required.length > 0 ? { required } : {}),
      additionalProperties: isOpen,
    });
    properties["rows"] = { ...properties["rows"], items: object(valueSchema) };
    properties["columns"] = object((input) => ({
      type: "array",
      minItems: 1,
      maxItems: 1_000,
      items: valueSchema(input),
    }));
    paths[ANY_MODEL.replace("{model}", entry.model)] = { post: operation };
  }
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
