import type { ModelInput } from "shared/contracts/signature.ts";
import type { Dataset } from "./dataset.ts";
import type { Vocabularies } from "./encoding.ts";

/**
 * The inputs of a model that was trained on these rows. Where no value was missing, the model has learnt nothing of
 * missing ones: an answer would be chance. A text it does not know is treated as the rare ones are.
 */
export function describeInputs(train: Dataset, vocabularies: Vocabularies): ModelInput[] {
  return train.featureNames.map((name, feature): ModelInput => {
    const vocabulary = vocabularies[feature] ?? null;
    const column = train.columns[feature]!;
    const hasMissing = vocabulary === null ? column.some(Number.isNaN) : column.includes(0);
    const nulls = hasMissing ? "as_trained" : "refuse";
    return vocabulary === null
      ? { name, type: "number", nulls }
      : { name, type: "category", nulls, vocabulary: [...vocabulary], unseen: "as_other" };
  });
}
