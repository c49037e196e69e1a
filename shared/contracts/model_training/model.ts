/** Models as they are declared. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "../definition.ts";
import { labelSchema, spineSchema } from "../feature_store.ts";
import { nameSchema } from "../names.ts";
import { taskSchema } from "../signature.ts";
import { durationSchema, instantSchema } from "../time.ts";
import { gateSchema } from "./gate.ts";
import { parametersSchema } from "./parameters.ts";
import { algorithmSchema, metricSchema } from "./algorithm.ts";

const service = "model-training";

export const modelBodySchema = z.object({
  task: taskSchema,
  entity: nameSchema,
  featureService: nameSchema,
  spine: spineSchema,
  label: labelSchema,
  /** The first T that is observed; default: the first record's. Windows must have had time to fill. */
  observeFrom: instantSchema.optional(),
  algorithm: algorithmSchema,
  /** Parameters of the algorithm; unknown names are refused with the list of known ones. */
  parameters: parametersSchema.default({}),
  metric: metricSchema,
  /** The last mature observations of this length are the test part; before them a gap of the label's horizon. */
  split: z.object({ test: durationSchema }),
  gate: gateSchema.prefault({}),
  seed: z.int().nonnegative().default(1),
  description: z.string().default(""),
});
export type ModelBody = z.infer<typeof modelBodySchema>;

export const putModel = putDefinition(service, "model", modelBodySchema);
export const removeModel = removeDefinition(service, "model");
export const definitions = listDefinitions(service);
