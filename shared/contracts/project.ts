/**
 * A whole project as JSON: what `defineProject` (shared/project/define.ts) takes and `deno task ml apply` sends,
 * part by part, to the services that own the parts.
 *
 * @module
 */
import { z } from "zod";
import { alertRuleBodySchema } from "./alert.ts";
import { cleaningBodySchema } from "./cleaning.ts";
import { closed } from "./closed.ts";
import { clockKindSchema } from "./data_ingestion.ts";
import { entityBodySchema, featureServiceBodySchema, viewBodySchema } from "./feature_store.ts";
import { monitorBodySchema } from "./model_monitoring.ts";
import { deploymentBodySchema } from "./model_serving.ts";
import { modelBodySchema } from "./model_training.ts";
import { nameSchema } from "./names.ts";
import { pipelineBodySchema } from "./orchestration.ts";
import { sourceBodySchema } from "./source.ts";

const named = <Body extends z.ZodType>(body: Body) => z.record(nameSchema, body).prefault({});

export const projectSchema = closed(z.object({
  project: nameSchema,
  clock: clockKindSchema.default("wall"),
  sources: named(sourceBodySchema),
  /** By source. */
  cleaning: named(cleaningBodySchema),
  entities: named(entityBodySchema),
  views: named(viewBodySchema),
  featureServices: named(featureServiceBodySchema),
  models: named(modelBodySchema),
  /** By model. */
  deployments: named(deploymentBodySchema),
  monitors: named(monitorBodySchema),
  alerts: named(alertRuleBodySchema),
  pipelines: named(pipelineBodySchema),
}));

/** A project as it is written, with what has a default left out. */
export type ProjectInput = z.input<typeof projectSchema>;
/** A project with every default filled in. */
export type Project = z.output<typeof projectSchema>;
