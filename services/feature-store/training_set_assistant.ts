/** Another thread of a training set: it makes the rows of a share of the entities, and describes columns. @module */
import type { ColumnStatistics } from "shared/contracts/feature_store.ts";
import { openWorker } from "shared/worker_call.ts";
import type { JoinOptions } from "./domain/joined_rows.ts";
import type { RowLimit, TrainingPart } from "./domain/training_rows.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
import type { DefinitionsData } from "./training_set_definitions.ts";
import type { BuiltPart } from "./training_set_part.ts";
import type { Share } from "./training_set_share.ts";

/** What it gets to make rows: everything as data. */
export interface PartInput {
  databaseUrl: string;
  definitions: DefinitionsData;
  request: TrainingSetRequest;
  share: Share;
  limit: RowLimit;
  /** Of the transaction whose snapshot all threads read, open until this one has begun. */
  snapshot: string;
}

export interface DescribeInput {
  parts: readonly TrainingPart[];
  join: JoinOptions;
  /** Columns of values [first, end). */
  first: number;
  end: number;
}

export type AssistantInput = { part: PartInput } | { describe: DescribeInput };
export type AssistantOutput = { part: BuiltPart } | { statistics: ColumnStatistics[] };

export interface Assistant extends Disposable {
  buildPart(input: PartInput, onProgress: (share: number) => void): Promise<BuiltPart>;
  describe(input: DescribeInput): Promise<ColumnStatistics[]>;
}

export function openAssistant(): Assistant {
  const worker = openWorker<AssistantInput, AssistantOutput, number>(
    new URL("./training_set_assistant_main.ts", import.meta.url),
  );
  return {
    async buildPart(part, onProgress) {
      const output = await worker.call({ part }, { onProgress });
      return (output as Extract<AssistantOutput, { part: unknown }>).part;
    },
    async describe(describe) {
      const output = await worker.call({ describe });
      return (output as Extract<AssistantOutput, { statistics: unknown }>).statistics;
    },
    [Symbol.dispose]: () => worker[Symbol.dispose](),
  };
}
