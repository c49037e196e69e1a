/**
 * The parts of a project and their owners, in the order in which they are applied: what is referred to comes first.
 * They are removed in reverse.
 *
 * @module
 */
import * as alert from "../contracts/alert.ts";
import * as ingestion from "../contracts/data_ingestion.ts";
import * as preprocessing from "../contracts/data_preprocessing.ts";
import type { Endpoint } from "../contracts/endpoint.ts";
import * as features from "../contracts/feature_store.ts";
import * as monitoring from "../contracts/model_monitoring.ts";
import * as serving from "../contracts/model_serving.ts";
import * as training from "../contracts/model_training.ts";
import * as orchestration from "../contracts/orchestration.ts";
import type { Project } from "../contracts/project.ts";

/** The endpoints of an owner for one kind of definition. */
export interface PartRow {
  kind: string;
  put: Endpoint;
  remove: Endpoint;
  list: Endpoint;
  /** The definitions of this kind in a project, by name. */
  of(project: Project): Readonly<Record<string, unknown>>;
}

export const PARTS: readonly PartRow[] = [
  {
    kind: "project",
    put: ingestion.putProject,
    remove: ingestion.removeProject,
    list: ingestion.definitions,
    of: (project) => ({ [project.project]: { clock: project.clock } }),
  },
  {
    kind: "source",
    put: ingestion.putSource,
    remove: ingestion.removeSource,
    list: ingestion.definitions,
    of: (project) => project.sources,
  },
  {
    kind: "cleaning",
    put: preprocessing.putCleaning,
    remove: preprocessing.removeCleaning,
    list: preprocessing.definitions,
    of: (project) => project.cleaning,
  },
  {
    kind: "entity",
    put: features.putEntity,
    remove: features.removeEntity,
    list: features.definitions,
    of: (project) => project.entities,
  },
  {
    kind: "view",
    put: features.putView,
    remove: features.removeView,
    list: features.definitions,
    of: (project) => project.views,
  },
  {
    kind: "feature-service",
    put: features.putFeatureService,
    remove: features.removeFeatureService,
    list: features.definitions,
    of: (project) => project.featureServices,
  },
  {
    // What the outcomes of a model are follows from what it learns to foretell.
    kind: "label",
    put: features.putLabel,
    remove: features.removeLabel,
    list: features.definitions,
    of: (project) =>
      mapValues(project.models, ({ entity, spine, label, observeFrom }) => ({
        entity,
        spine,
        label,
        ...(observeFrom === undefined ? {} : { observeFrom }),
      })),
  },
  {
    kind: "model",
    put: training.putModel,
    remove: training.removeModel,
    list: training.definitions,
    of: (project) => project.models,
  },
  {
    kind: "deployment",
    put: serving.putDeployment,
    remove: serving.removeDeployment,
    list: serving.definitions,
    of: (project) => project.deployments,
  },
  {
    kind: "monitor",
    put: monitoring.putMonitor,
    remove: monitoring.removeMonitor,
    list: monitoring.definitions,
    of: (project) => project.monitors,
  },
  {
    kind: "alert-rule",
    put: alert.putAlertRule,
    remove: alert.removeAlertRule,
    list: alert.definitions,
    of: (project) => project.alerts,
  },
  {
    kind: "pipeline",
    put: orchestration.putPipeline,
    remove: orchestration.removePipeline,
    list: orchestration.definitions,
    of: (project) => project.pipelines,
  },
];

function mapValues<From, To>(
  all: Readonly<Record<string, From>>,
  to: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, to(value)]));
}
