import type { Hint } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { cellOf, type Dataset } from "./dataset.ts";
import { explainsLabel, foldsOf } from "./explains_label.ts";
import { youngerThanT } from "./younger_than_t.ts";

export interface HintContext {
  task: Task;
  /**
   * By feature: the greatest of event time - T over the rows, milliseconds, null where no record is behind its values.
   * Default: nothing is known of event times.
   */
  leads?: Readonly<Record<string, number | null>> | undefined;
}

/**
 * What the training rows say against their features: those that explain the label alone, know what is later than T, have
 * one value, or none.
 */
export function hintsOf(train: Dataset, { task, leads = {} }: HintContext): Hint[] {
  const folds = foldsOf(train);
  return train.featureNames.flatMap((feature, index) =>
    nothingToLearn(train, index) ?? [
      ...explainsLabel(train, index, { task, folds }),
      ...youngerThanT(train, index, leads[feature] ?? undefined),
    ]
  );
}

/** Undefined for a feature that has several values, a missing one being one of them. */
function nothingToLearn(train: Dataset, index: number): Hint[] | undefined {
  const feature = train.featureNames[index]!;
  const first = train.columns[index]![0]!;
  const isFirst = (value: number) => value === first || (Number.isNaN(value) && Number.isNaN(first));
  if (!train.columns[index]!.every(isFirst)) return undefined;
  const only = cellOf(train, index, 0);
  const hint = { feature, value: null };
  return [
    only === null ? { ...hint, kind: "missing", message: `${feature} has no value in the training part` } : {
      ...hint,
      kind: "constant",
      message: `${feature} is ${only} in every row of the training part: nothing can be learnt from it`,
    },
  ];
}
