/** model-training: what it owns, answers and publishes. @module */
export * from "./model_training/algorithm.ts";
export * from "./model_training/aliases.ts";
export * from "./model_training/card.ts";
export * from "./model_training/detail.ts";
export * from "./model_training/evaluation.ts";
export * from "./model_training/gate.ts";
export * from "./model_training/logging.ts";
export * from "./model_training/model.ts";
export * from "./model_training/parameters.ts";
export * from "./model_training/report.ts";
export * from "./model_training/runs.ts";
export * from "./model_training/split.ts";
export * from "./model_training/tags.ts";
export * from "./model_training/trainer.ts";
export * from "./model_training/versions.ts";
