/** The model card: what a version is, was learnt from, and is worth. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { nameSchema } from "../names.ts";
import { aliasMoveSchema } from "./aliases.ts";
import { keptComparisonSchema } from "./gate.ts";
import { curvesSchema } from "./report.ts";
import { runDetailSchema } from "./runs.ts";
import { versionDetailSchema } from "./versions.ts";

export const cardSchema = z.object({
  version: versionDetailSchema,
  /** How it came to be: parameters, trials, environment, artifacts. */
  run: runDetailSchema,
  /** Of an import: the logged run that its file was trained in. */
  loggedRun: runDetailSchema.nullable(),
  /** Of the model's definition; empty where it is not declared. */
  description: z.string(),
  /** Null for a version that was not judged. */
  curves: curvesSchema.nullable(),
  /** Moves of aliases to this version, newest first. */
  moves: z.array(aliasMoveSchema),
  /** Judgements of the gate on this version, newest first. */
  comparisons: z.array(keptComparisonSchema),
});
export type ModelCard = z.infer<typeof cardSchema>;

/** As a page with the curves: `GET /v1/models/{model}/versions/{version}/card.html`. */
export const getCard = endpoint({
  service: "model-training",
  verb: "card",
  http: { method: "get", path: "/v1/models/{model}/versions/{version}/card" },
  summary: "The model card of a version",
  request: z.object({ model: nameSchema, version: z.coerce.number().int().positive() }),
  reply: cardSchema,
});
