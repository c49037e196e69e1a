import type { SourceBody } from "shared/contracts/source.ts";
import { commonType, type FieldFacts, type FieldType, typeOfValue } from "./known_fields.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

const TYPES: ReadonlyMap<unknown, FieldType> = new Map<unknown, FieldType>([
  ["string", "text"],
  ["number", "number"],
  ["integer", "integer"],
  ["boolean", "boolean"],
  ["array", "list"],
  ["object", "object"],
]);

/**
 * What a source's JSON Schema says of the fields of its records, as far as it is plain: `properties` with `type`,
 * `enum` or `const`, and `additionalProperties: false`. Of everything else nothing is concluded.
 */
export function sourceFields({ schema, secrets }: Pick<SourceBody, "schema" | "secrets">): FieldFacts {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const types = new Map<string, FieldType>();
  for (const [field, property] of Object.entries(properties)) {
    const type = isObject(property) ? typeOf(property) : undefined;
    if (type !== undefined) types.set(field, type);
  }
  const dropped = new Set<string>();
  // What is kept of secrets is not what the schema describes.
  for (const [place, policy] of Object.entries(secrets)) {
    const field = topLevelField(place);
    if (field === undefined) continue;
    types.delete(field);
    if (policy === "drop") dropped.add(field);
  }
  const isClosed = schema["additionalProperties"] === false && schema["patternProperties"] === undefined;
  return {
    types,
    ...(isClosed ? { names: Object.keys(properties).filter((field) => !dropped.has(field)) } : {}),
  };
}

/** A secret's field, by name or by JSON Pointer; `undefined`: it lies deeper. */
function topLevelField(place: string): string | undefined {
  if (!place.startsWith("/")) return place;
  const [, field = "", ...deeper] = place.split("/");
  return deeper.length > 0 ? undefined : field.replaceAll("~1", "/").replaceAll("~0", "~");
}

function typeOf({ type, enum: values, const: constant }: JsonSchema): FieldType | undefined {
  if (type !== undefined) {
    const names = (Array.isArray(type) ? type : [type]).filter((name) => name !== "null");
    return commonType(names.map((name) => TYPES.get(name)));
  }
  const listed = Array.isArray(values) ? values : constant === undefined ? [] : [constant];
  return commonType(listed.filter((value) => value !== null).map(typeOfValue));
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
