import type { Signature } from "shared/contracts/signature.ts";

/** Whether two versions take the same features, looked up in the same feature service. */
export const asksAlike = (one: Signature, other: Signature): boolean =>
  one === other ||
  JSON.stringify([one.inputs, one.featureService]) === JSON.stringify([other.inputs, other.featureService]);
