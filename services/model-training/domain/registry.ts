/** What the registry keeps. @module */
import type { TrainingSetStatus } from "shared/contracts/feature_store.ts";
import type { AliasEntry, aliasHistory, Evaluation } from "shared/contracts/model_training.ts";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import type { ReferenceBins, Signature } from "shared/contracts/signature.ts";
import type { Duration, Instant } from "shared/contracts/time.ts";

/** Where a version comes from, beside its run. */
export interface Lineage {
  /** The training set in the feature store's books, and what is in it. */
  trainingSet: { id: string } & NonNullable<TrainingSetStatus["result"]>;
}

export interface NewVersion {
  model: string;
  version: number;
  project: string;
  run: string;
  /** The version of the model's definition. */
  definition: number;
  sha256: string;
  onnx: Uint8Array;
  signature: Signature;
  /** SHA-256 of its file. */
  trainingSet: string;
  lineage: Lineage;
  evaluation: Evaluation;
  referenceBins: readonly ReferenceBins[];
  actor: string;
}

/** What an alias that points to a version tells of it. */
export interface ServableVersion extends Pick<AliasEntry, "sha256" | "signature" | "project"> {
  /** The version of the model's definition. */
  definition: number;
}

export interface VersionForJudging {
  version: number;
  signature: Signature;
  trainingSet: string;
  /** T of the newest row it was trained on. */
  trainUntil: Instant;
  /** How far its labels looked. */
  within: Duration;
  onnx: Uint8Array;
}

export type AliasMove = ReplyOf<typeof aliasHistory>["moves"][number];
