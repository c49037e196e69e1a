/** A further thread that grows trees: see `fit_trees.ts`. @module */
import { boost, type BoostingMemory, type BoostingTask } from "./boosting.ts";
import { createObjective, type ObjectiveName } from "./objective.ts";
import { failTeam, joinTeam } from "./team.ts";

/** What a thread is told to do. */
export interface ToMember {
  task: BoostingTask;
  objective: ObjectiveName;
  memory: BoostingMemory;
  /** What the team meets in. */
  words: Int32Array;
  rank: number;
  size: number;
}

/** A thread's side of the border; the types of a whole program don't have it. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<ToMember>) => void;
  postMessage(message: null): void;
};

scope.onmessage = ({ data: { task, objective, memory, words, rank, size } }) => {
  scope.postMessage(null);
  try {
    boost(task, createObjective(objective, task), { memory, team: joinTeam(words, rank, size) });
  } catch {
    // The first member fails of itself at the next barrier, and has someone to tell.
    failTeam(words);
  }
};
