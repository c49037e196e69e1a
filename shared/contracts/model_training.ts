/** model-training: what it owns, answers and publishes. @module */
export * from "./model_training/algorithm.ts";
export * from "./model_training/evaluation.ts";
export * from "./model_training/gate.ts";
export * from "./model_training/model.ts";
export * from "./model_training/parameters.ts";
export * from "./model_training/registry.ts";
export * from "./model_training/runs.ts";
