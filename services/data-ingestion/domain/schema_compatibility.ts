/** Whether all that one JSON Schema takes is taken by another one. @module */
import type { Reason } from "shared/errors.ts";
import { pathOf, shown } from "shared/reason_text.ts";
import { sameJson } from "./same_json.ts";

type Schema = Readonly<Record<string, unknown>>;

/** Keywords that say nothing about what is valid. (`format` is one of them here: nothing checks it.) */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  "$schema",
  "$id",
  "$comment",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
  "format",
  "contentEncoding",
  "contentMediaType",
  "contentSchema",
]);

/** Keywords whose changes are looked into. Of any other, every change counts as a narrowing. */
const COMPARED: ReadonlySet<string> = new Set([
  "type",
  "enum",
  "const",
  "minimum",
  "exclusiveMinimum",
  "maximum",
  "exclusiveMaximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
  "multipleOf",
  "pattern",
  "uniqueItems",
  "required",
  "properties",
  "additionalProperties",
  "items",
]);

/**
 * The changes from one schema to another by which what was valid may be so no more, with their places. What cannot be
 * told counts as one. A field that the schema did not speak of is taken for one that nobody sent: it may be declared.
 */
export function narrowings(before: unknown, after: unknown, path: string): Reason[] {
  if (sameJson(before, after) || before === false || after === true) return [];
  if (after === false) return [{ path, message: "must not refuse everything" }];
  const [was, is] = [before === true ? {} : before as Schema, after as Schema];
  return [
    ...compareTypes(was, is, path),
    ...compareValues(was, is, path),
    ...compareNumbers(was, is, path),
    ...compareCounts(was, is, path),
    ...compareFields(was, is, path),
    ...narrowings(was["items"] ?? true, is["items"] ?? true, `${path}/items`),
    ...changesOfOthers(was, is, path),
  ];
}

const ALL_TYPES = ["null", "boolean", "object", "array", "number", "string"];

function typesOf(schema: Schema): string[] {
  const { type } = schema;
  const values = valuesOf(schema);
  if (type === undefined) return values === undefined ? ALL_TYPES : [...new Set(values.map(typeOf))];
  return Array.isArray(type) ? type : [String(type)];
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

/** The only values that are valid, where the schema lists them. */
function valuesOf({ enum: values, const: value, type }: Schema): unknown[] | undefined {
  if (value !== undefined) return [value];
  if (Array.isArray(values)) return values;
  return type === "boolean" ? [true, false] : type === "null" ? [null] : undefined;
}

function compareTypes(was: Schema, is: Schema, path: string): Reason[] {
  if (is["type"] === undefined) return [];
  const allowed = typesOf(is);
  const lost = typesOf(was).filter((type) =>
    !allowed.includes(type) && !(type === "integer" && allowed.includes("number"))
  );
  if (lost.length === 0) return [];
  const only = `must allow ${lost.join(", ")} as before, not only ${allowed.join(", ")}`;
  return [{ path: `${path}/type`, message: only }];
}

function compareValues(was: Schema, is: Schema, path: string): Reason[] {
  return (["enum", "const"] as const).flatMap((keyword): Reason[] => {
    if (is[keyword] === undefined) return [];
    const allowed = keyword === "const" ? [is[keyword]] : is[keyword] as unknown[];
    const before = valuesOf(was);
    if (before === undefined) {
      return [{ path: `${path}/${keyword}`, message: "must not be added: before, other values were valid" }];
    }
    const lost = before.filter((value) => !allowed.some((other) => sameJson(value, other)));
    if (lost.length === 0) return [];
    return [{ path: `${path}/${keyword}`, message: `must allow ${lost.map(shown).join(", ")} as before` }];
  });
}

/** An upper bound; a lower one is mirrored. */
interface Bound {
  value: number;
  exclusive: boolean;
}

function compareNumbers(was: Schema, is: Schema, path: string): Reason[] {
  const reasons: Reason[] = [];
  const sides = [["maximum", "exclusiveMaximum", 1], ["minimum", "exclusiveMinimum", -1]] as const;
  for (const [inclusive, exclusive, sign] of sides) {
    const before = tightest([
      ...boundOf(was[inclusive], sign, false),
      ...boundOf(was[exclusive], sign, true),
    ]);
    for (const [keyword, isExclusive] of [[inclusive, false], [exclusive, true]] as const) {
      const [bound] = boundOf(is[keyword], sign, isExclusive);
      if (bound !== undefined && isTighter(bound, before)) {
        reasons.push({ path: `${path}/${keyword}`, message: tightened(was[keyword], is[keyword]) });
      }
    }
  }
  const { multipleOf } = is;
  if (typeof multipleOf === "number" && !isMultiple(stepOf(was), multipleOf)) {
    reasons.push({ path: `${path}/multipleOf`, message: tightened(was["multipleOf"], multipleOf) });
  }
  return reasons;
}

function boundOf(value: unknown, sign: 1 | -1, exclusive: boolean): Bound[] {
  return typeof value === "number" ? [{ value: sign * value, exclusive }] : [];
}

function tightest(bounds: readonly Bound[]): Bound | undefined {
  return bounds.reduce<Bound | undefined>(
    (found, bound) => isTighter(bound, found) ? bound : found,
    undefined,
  );
}

function isTighter(one: Bound, other: Bound | undefined): boolean {
  return other === undefined || one.value < other.value ||
    (one.value === other.value && one.exclusive && !other.exclusive);
}

function stepOf(schema: Schema): number | undefined {
  const { multipleOf } = schema;
  if (typeof multipleOf === "number") return multipleOf;
  return typesOf(schema).every((type) => type === "integer") ? 1 : undefined;
}

function isMultiple(step: number | undefined, of: number): boolean {
  if (step === undefined) return false;
  const times = step / of;
  return Math.abs(times - Math.round(times)) < 1e-9 && Math.round(times) > 0;
}

const COUNTS = ["Length", "Items", "Properties"] as const;

function compareCounts(was: Schema, is: Schema, path: string): Reason[] {
  const changed = (keyword: string): Reason => ({
    path: `${path}/${keyword}`,
    message: tightened(was[keyword], is[keyword]),
  });
  const count = (value: unknown, fallback: number) => typeof value === "number" ? value : fallback;
  const reasons = COUNTS.flatMap((of): Reason[] => [
    ...(count(is[`min${of}`], 0) > count(was[`min${of}`], 0) ? [changed(`min${of}`)] : []),
    ...(count(is[`max${of}`], Infinity) < count(was[`max${of}`], Infinity) ? [changed(`max${of}`)] : []),
  ]);
  if (is["pattern"] !== undefined && is["pattern"] !== was["pattern"]) reasons.push(changed("pattern"));
  if (is["uniqueItems"] === true && was["uniqueItems"] !== true) reasons.push(changed("uniqueItems"));
  return reasons;
}

function tightened(was: unknown, is: unknown): string {
  return was === undefined
    ? `must not be added (${shown(is)})`
    : `must not go from ${shown(was)} to ${shown(is)}`;
}

function compareFields(was: Schema, is: Schema, path: string): Reason[] {
  const required = (schema: Schema) => (schema["required"] ?? []) as string[];
  const properties = (schema: Schema) => (schema["properties"] ?? {}) as Schema;
  const [known, now] = [properties(was), properties(is)];
  const [others, othersNow] = [was["additionalProperties"] ?? true, is["additionalProperties"] ?? true];
  const added = required(is).filter((name) => !required(was).includes(name));
  const reasons: Reason[] = added.map((name) => ({
    path: `${path}/required`,
    message: `must not require ${shown(name)}: stored records may be without it`,
  }));

  for (const [name, schema] of Object.entries(now)) {
    const place = `${path}/properties${pathOf(name)}`;
    if (Object.hasOwn(known, name)) reasons.push(...narrowings(known[name], schema, place));
    else if (was["patternProperties"] !== undefined) {
      reasons.push({ path: place, message: "must not be added: a pattern may have spoken of it" });
    } else if (others !== true) reasons.push(...narrowings(others, schema, place));
  }
  const isClosed = othersNow === false || is["unevaluatedProperties"] === false;
  for (const [name, schema] of Object.entries(known)) {
    if (Object.hasOwn(now, name) || schema === false) continue;
    const place = `${path}/properties${pathOf(name)}`;
    if (isClosed) reasons.push({ path: place, message: "must stay: other fields are refused" });
    else reasons.push(...narrowings(schema, othersNow, place));
  }
  if (othersNow === false && others !== false) {
    reasons.push({
      path: `${path}/additionalProperties`,
      message: "must not become false: stored records may have more",
    });
  } else reasons.push(...narrowings(others, othersNow, `${path}/additionalProperties`));
  return reasons;
}

/** `$ref`, `allOf` and the like: what a change of them means can't be told. */
function changesOfOthers(was: Schema, is: Schema, path: string): Reason[] {
  const names = new Set([...Object.keys(was), ...Object.keys(is)]);
  return [...names].flatMap((name): Reason[] => {
    if (ANNOTATIONS.has(name) || COMPARED.has(name) || sameJson(was[name], is[name])) return [];
    return [{ path: `${path}${pathOf(name)}`, message: "must not change: what that does can't be told" }];
  });
}
