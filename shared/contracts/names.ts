import { z } from "zod";

/**
 * The pattern of every name a user chooses (sources, entities, views, models, monitors ...).
 * No dots, because names become tokens of NATS subjects; unique on one platform.
 */
export const NAME_PATTERN = /^[a-z][a-z0-9_-]{0,62}$/;

export const nameSchema = z.string().regex(NAME_PATTERN, `must match ${NAME_PATTERN.source}`);

const REFERENCE_PATTERN = /^[a-z][a-z0-9_-]{0,62}\.[a-z][a-z0-9_-]{0,62}$/;

/** A feature named from outside its view: `view.feature`. */
export const featureReferenceSchema = z.string().regex(REFERENCE_PATTERN, "must be <view>.<feature>");

/**
 * At least one feature, each named from outside its view. A read may name hundreds, and zod's own lists make several
 * objects for each of their elements: this looks at the list and makes none.
 */
export const featureReferencesSchema = z.unknown().check(({ value, issues }) => {
  if (!Array.isArray(value)) {
    issues.push({ code: "invalid_type", expected: "array", input: value });
    return;
  }
  if (value.length === 0) {
    issues.push({
      code: "too_small",
      origin: "array",
      minimum: 1,
      inclusive: true,
      continue: true,
      input: value,
    });
  }
  for (let index = 0; index < value.length; index++) {
    const reference: unknown = value[index];
    if (typeof reference === "string" && REFERENCE_PATTERN.test(reference)) continue;
    const { issues: [mistake] } = featureReferenceSchema.safeParse(reference).error!;
    issues.push({ ...mistake!, input: reference, path: [index] } as z.core.$ZodRawIssue);
  }
}).meta({
  type: "array",
  items: { type: "string", pattern: REFERENCE_PATTERN.source },
  minItems: 1,
}) as unknown as z.ZodType<string[]>;
