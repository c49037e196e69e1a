import type { Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { gbdt } from "./gbdt.ts";
import { linear, logistic } from "./linear/linear_trainers.ts";
import { prior } from "./prior.ts";
import { randomForest } from "./random_forest.ts";
import type { Trainer } from "./trainer.ts";

/** The trainers of this service, by algorithm. */
export const TRAINERS: ReadonlyMap<string, Trainer> = new Map(
  [gbdt, randomForest, logistic, linear, prior].map((trainer) => [trainer.algorithm, trainer]),
);

/** The trainer of an algorithm. @throws {AppError} `invalid` when there is none, or it can't do the task */
export function trainerFor(algorithm: string, task: Task): Trainer {
  const trainer = TRAINERS.get(algorithm);
  if (!trainer) {
    const known = [...TRAINERS.keys()].join(", ");
    throw invalid(`Cannot train with "${algorithm}": the algorithm must be one of ${known}`);
  }
  if (!trainer.tasks.includes(task)) {
    throw invalid(
      `Cannot train with "${algorithm}": it does ${trainer.tasks.join(", ")}, the task is ${task}`,
    );
  }
  return trainer;
}
