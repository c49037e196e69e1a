/** What the registry keeps. @module */
import type { TrainingSetStatus } from "shared/contracts/feature_store.ts";
import type {
  AliasEntry,
  AliasMove,
  Curves,
  Evaluation,
  Hint,
  InputExample,
  ModelGraph,
  ModelVersion,
} from "shared/contracts/model_training.ts";
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
  origin: ModelVersion["origin"];
  algorithm: string;
  /** The version of the model's definition; null where it is not declared. */
  definition: number | null;
  sha256: string;
  onnx: Uint8Array;
  signature: Signature;
  graph: ModelGraph;
  /** SHA-256 of its file; null where it is not known. */
  trainingSet: string | null;
  lineage: Lineage | null;
  /** T of the newest row it was trained on; null where it is not known. */
  trainUntil: Instant | null;
  /** How far its labels looked; null where it is not known. */
  horizon: Duration | null;
  evaluation: Evaluation | null;
  curves: Curves | null;
  hints: readonly Hint[];
  referenceBins: readonly ReferenceBins[];
  inputExample: InputExample | null;
  tags: Readonly<Record<string, string>>;
  notes: string;
  actor: string;
}

/** What an alias that points to a version tells of it. */
export interface ServableVersion extends Pick<AliasEntry, "sha256" | "signature" | "project"> {
  /** The version of the model's definition; null where it is not declared. */
  definition: number | null;
  retiredAt: Instant | null;
}

export interface VersionForJudging {
  version: number;
  signature: Signature;
  trainingSet: string | null;
  /** T of the newest row it was trained on; null where it is not known. */
  trainUntil: Instant | null;
  /** How far its labels looked; null where it is not known. */
  horizon: Duration | null;
  referenceBins: readonly ReferenceBins[];
  onnx: Uint8Array;
}

/** A move as far as finding the way back needs it. */
export type PastMove = Pick<AliasMove, "version" | "kind">;

/**
 * What an alias points to after a rollback: what it pointed to before its last move that has not been rolled back.
 * Each rollback so goes one step further back, and never forth.
 *
 * @param moves all of them, oldest first
 * @returns undefined when there is nothing to go back to
 */
export function rollbackTarget(moves: readonly PastMove[]): number | null | undefined {
  /** Where it pointed, one place a move that stands; at first to nothing. */
  const places: (number | null)[] = [null];
  for (const { version, kind } of moves) {
    if (kind === "rollback") places.pop();
    else places.push(version);
  }
  return places.length < 2 ? undefined : places[places.length - 2];
}
