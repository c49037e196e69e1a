/**
 * What callers write (requests, projects, questions of a file) is closed: a field that its schema does not know is
 * refused by name, since one that is misspelt would otherwise be passed over and its default silently used. What
 * services tell each other and keep stays open, because fields are added to it.
 *
 * @module
 */
import { z } from "zod";

type Schema = z.core.$ZodType;

/** Parts that several schemas share are closed once. */
const closedSchemas = new WeakMap<Schema, Schema>();
/** The schemas of {@link refusal}. */
const refusals = new WeakSet<Schema>();

/**
 * The same schema, whose objects refuse unknown fields at every depth, telling which they take and which was meant.
 * A record takes any name, as a `looseObject` does.
 */
export function closed<Given extends z.ZodType>(schema: Given): Given {
  // What a schema takes and gives is the same when it is closed; zod's types can't say so of a schema in general.
  return close(schema) as unknown as Given;
}

function close(schema: Schema): Schema {
  const known = closedSchemas.get(schema);
  if (known !== undefined) return known;
  const parts = closedParts(schema);
  const result = parts === undefined
    ? schema
    : z.core.clone(schema, { ...schema._zod.def, ...parts }, { parent: true });
  closedSchemas.set(schema, result);
  closedSchemas.set(result, result);
  return result;
}

/** What of a schema's definition changes; undefined where it holds no other schema. */
function closedParts(schema: Schema): object | undefined {
  if (schema instanceof z.ZodObject) return closedObject(schema);
  if (schema instanceof z.ZodArray) return { element: close(schema.def.element) };
  if (schema instanceof z.ZodRecord) return { valueType: close(schema.def.valueType) };
  if (schema instanceof z.ZodUnion) return { options: schema.def.options.map(close) };
  if (
    schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  ) {
    return { innerType: close(schema.def.innerType) };
  }
  if (LEAVES.has(schema._zod.def.type)) return undefined;
  throw new TypeError(
    `Cannot close a schema of type ${schema._zod.def.type}: it is not known whether it holds objects`,
  );
}

/** Schemas that hold no objects of a contract. */
const LEAVES: ReadonlySet<string> = new Set<Schema["_zod"]["def"]["type"]>([
  "any",
  "boolean",
  "enum",
  "literal",
  "null",
  "number",
  "string",
  "tuple",
  "undefined",
  "unknown",
]);

function closedObject({ def: { shape, catchall } }: z.ZodObject): object {
  const isLoose = catchall !== undefined && catchall._zod.def.type !== "never" && !refusals.has(catchall);
  return {
    shape: Object.fromEntries(Object.entries(shape).map(([name, part]) => [name, close(part)])),
    catchall: isLoose ? catchall : refusal(Object.keys(shape)),
  };
}

/** Refuses whatever it is given: what a closed object takes besides its own fields. */
function refusal(known: readonly string[]): Schema {
  const error = ({ path }: z.core.$ZodRawIssue) => unknownField(String(path?.at(-1)), known);
  // OpenAPI's `additionalProperties: { not: {} }` means what `false` does.
  const schema = z.unknown().refine(() => false, { error }).meta({ not: {} });
  refusals.add(schema);
  return schema;
}

function unknownField(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  const guess = meant === undefined ? "" : ` (did you mean ${meant}?)`;
  return `is unknown${guess}: ${
    known.length === 0 ? "there are none" : `it must be one of ${known.join(", ")}`
  }`;
}

/** The known name that differs by the fewest letters, at most one in three; case and separators count for nothing. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const written = lettersOf(name);
  const [best] = known
    .map((candidate) => ({ candidate, distance: editDistance(written, lettersOf(candidate)) }))
    .filter(({ candidate, distance }) => distance <= candidate.length / 3)
    .toSorted((a, b) => a.distance - b.distance);
  return best?.candidate;
}

const MAX_COMPARED = 64;

const lettersOf = (name: string) => name.slice(0, MAX_COMPARED).replaceAll(/[_-]/g, "").toLowerCase();

/** Letters to insert, remove or replace, and neighbours to exchange (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i++) {
    const [above, row] = [rows[i - 1]!, [i]];
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const exchanged = isExchange ? rows[i - 2]![j - 2]! + 1 : Infinity;
      row.push(Math.min(replaced, exchanged, above[j]! + 1, row[j - 1]! + 1));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
