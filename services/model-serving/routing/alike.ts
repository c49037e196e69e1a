/** What versions of one model must have in common to stand in for each other. @module */
import type { Signature } from "shared/contracts/signature.ts";

const isEqual = (one: unknown, other: unknown) =>
  one === other || JSON.stringify(one) === JSON.stringify(other);

/** Whether two versions take the same features, looked up in the same feature service. */
export const asksAlike = (one: Signature, other: Signature): boolean =>
  isEqual(one.inputs, other.inputs) && isEqual(one.featureService, other.featureService);

/**
 * Whether the answers of two versions mean the same: about the same entity, of the same kind, and of the same classes in
 * the same order.
 */
export const answersAlike = (one: Signature, other: Signature): boolean =>
  one.entity === other.entity && one.output === other.output && isEqual(one.classes, other.classes);
