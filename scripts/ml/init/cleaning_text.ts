/** The cleaning that is inferred for a file, as TypeScript, with what was seen in comments. @module */
import type { Expectation, Step } from "shared/contracts/cleaning.ts";
import { share } from "./describe_field.ts";
import { codePattern, enumValues, type InferredField, type InferredSource, isCode } from "./infer.ts";
import { comment, literal } from "./literal.ts";
import type { Reading } from "./readings.ts";

/** Null up to this share it is worth a thought what should stand there. */
const RARELY_NULL_SHARE = 0.5;

export function stepsText({ fields, records }: InferredSource): string {
  const lines: string[] = [];
  const step = (one: Step) => lines.push(`${literal(one)},`);
  const renamed = fields.filter(({ name, clean }) => name !== clean);
  if (renamed.length > 0) {
    step({ step: "rename", fields: Object.fromEntries(renamed.map(({ name, clean }) => [name, clean])) });
  }
  const padded = fields.filter(({ facts }) => facts.padded > 0).map(({ clean }) => clean);
  if (padded.length > 0) step({ step: "trim", fields: padded });
  for (const field of fields) {
    const words = nullWordsOf(field);
    if (words.length === 0) continue;
    lines.push(comment(`${words.map((word) => JSON.stringify(word)).join(", ")}: no value.`));
    step({
      step: "map",
      field: field.clean,
      values: Object.fromEntries(words.map((word) => [word, null])),
      otherwise: "keep",
    });
  }
  for (const [reading, read] of byReading(fields)) {
    if (read.some(({ isOrderOpen }) => isOrderOpen)) {
      lines.push(comment("This file leaves open whether the day or the month comes first: please check."));
    }
    step(reading.step(read.map(({ clean }) => clean)));
  }
  for (const { name, facts: { nearlyFitting } } of fields.filter(isPlainText)) {
    if (nearlyFitting === undefined) continue;
    const { reading, counterexample } = nearlyFitting;
    lines.push(
      comment(
        `Nearly every ${name} is ${reading.name}, but not ${JSON.stringify(counterexample)}: it stays text.`,
      ),
    );
  }
  const fillable = fields.filter((field) =>
    enumValues(field) && field.nulls > 0 && field.nulls <= records * RARELY_NULL_SHARE
  );
  for (const { clean, nulls } of fillable) {
    const fill = literal({ step: "fill", fields: { [clean]: "unknown" } });
    lines.push(comment(`${share(nulls, records)} are null; to give them a value: ${fill}`));
  }
  return lines.join("\n");
}

/** Of what belongs to a person nothing is shown. */
const isPlainText = ({ type, personal }: InferredField) => type === "text" && personal === undefined;

/** What people wrote for nothing, in fields that are more than text. */
function nullWordsOf({ fit, facts }: InferredField): string[] {
  return fit === undefined ? [] : [...facts.nullWords.keys()];
}

/** Fields whose values must be read, together where they are read in the same way. */
function byReading(fields: readonly InferredField[]): Map<Reading, InferredField[]> {
  const read = fields.filter(({ fit }) => fit !== undefined && !fit.unchanged);
  return Map.groupBy(read, ({ fit }) => fit!.reading);
}

export function expectationsText({ fields }: InferredSource): string {
  const lines: string[] = [];
  const expectation = (one: Expectation) => lines.push(`${literal(one)},`);
  const filled = fields.filter(({ nulls, type }) => nulls === 0 && type !== "empty").map(({ clean }) =>
    clean
  );
  if (filled.length > 0) {
    lines.push(comment("Never null in this file."));
    expectation({ expect: "not_null", fields: filled, action: "quarantine" });
  }
  const warnings = fields.flatMap((field) => warningsOf(field));
  if (warnings.length > 0) {
    lines.push(comment("As it is in this file: what is new is worth a warning, not more."));
  }
  warnings.forEach(expectation);
  return lines.join("\n");
}

function warningsOf(field: InferredField): Expectation[] {
  const { clean, type, fit } = field;
  const values = enumValues(field);
  if (values !== undefined) return [{ expect: "set", field: clean, values, action: "warn" }];
  const pattern = codePattern(field);
  if (pattern !== undefined) return [{ expect: "pattern", field: clean, pattern, action: "warn" }];
  if ((type === "integer" || type === "number") && !isCode(field)) {
    const { min, max } = fit!;
    if (typeof min === "number" && typeof max === "number") {
      return [{ expect: "range", field: clean, min, max, action: "warn" }];
    }
  }
  return [];
}
