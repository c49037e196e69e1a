/** Values as callers gave them, without a copy where it can be helped: what is copied for every call is what makes garbage. @module */
import type { FeatureValue } from "shared/contracts/feature_store.ts";

/** Row after row in the order of the signature, null where nothing was given; or as below. */
export type Given = readonly FeatureValue[] | Float32Array | Float64Array | GivenColumns;

/** The caller's own lists, one a feature in the order of the signature, of numbers alone. */
export class GivenColumns {
  constructor(readonly lists: readonly (readonly number[])[]) {}
}

/** The same row after row. */
export function rowMajor(given: Given): Exclude<Given, GivenColumns> {
  if (!(given instanceof GivenColumns)) return given;
  const { lists } = given;
  const values = new Float64Array(lists.length * (lists[0]?.length ?? 0));
  for (const [column, list] of lists.entries()) {
    for (let row = 0, at = column; row < list.length; row++, at += lists.length) values[at] = list[row]!;
  }
  return values;
}
