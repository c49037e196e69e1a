/** Models as they are declared. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "../definition.ts";
import { labelSchema, spineSchema } from "../feature_store.ts";
import { nameSchema } from "../names.ts";
import { taskSchema } from "../signature.ts";
import { instantSchema } from "../time.ts";
import { errorCostsSchema } from "./detail.ts";
import { gateSchema } from "./gate.ts";
import { metricSchema } from "./algorithm.ts";
import { searchSchema, splitSchema } from "./split.ts";
import { tagsSchema } from "./tags.ts";
import { parametersSchema } from "./parameters.ts";

const service = "model-training";

export const modelBodySchema = z.object({
  task: taskSchema,
  /** Of a binary task whose label is text: the class whose probability is answered; default: the last in text order. */
  positiveClass: z.string().optional(),
  /** Of a regression: the quantile of the label that is answered, and that `pinball` is judged at; default: the mean. */
  quantile: z.number().gt(0).lt(1).optional(),
  entity: nameSchema,
  featureService: nameSchema,
  spine: spineSchema,
  label: labelSchema,
  /** The first T that is observed; default: the first record's. Windows must have had time to fill. */
  observeFrom: instantSchema.optional(),
  /** One of the service's own (`algorithmSchema`), or one that a trainer outside it answers to (`trainer.ts`). */
  algorithm: nameSchema,
  /** Parameters of the algorithm; of the service's own, unknown names are refused with the list of known ones. */
  parameters: parametersSchema.default({}),
  metric: metricSchema,
  /** Of a binary task, what the threshold on the model card is chosen by. */
  costs: errorCostsSchema.prefault({}),
  split: splitSchema,
  /** Default: none, the parameters are as they stand here. */
  search: searchSchema.optional(),
  gate: gateSchema.prefault({}),
  seed: z.int().nonnegative().default(1),
  /** Each version begins with these. */
  tags: tagsSchema.default({}),
  description: z.string().default(""),
});
export type ModelBody = z.infer<typeof modelBodySchema>;

export const putModel = putDefinition(service, "model", modelBodySchema);
export const removeModel = removeDefinition(service, "model");
export const definitions = listDefinitions(service);
