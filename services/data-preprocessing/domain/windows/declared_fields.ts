/** What is declared of the fields of clean records, and where a window does not fit. @module */
import type { CleaningBody, Step } from "shared/contracts/cleaning.ts";
import type { FieldProfile } from "shared/contracts/data_preprocessing.ts";
import type { Anomaly } from "./anomalies.ts";
import type { WindowFacts } from "./rules.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

/** The declared fields of clean records, as far as a JSON Schema says it plainly. */
export interface DeclaredFields {
  /** The schema of each field; an empty one says nothing. */
  properties: ReadonlyMap<string, JsonSchema>;
  required: ReadonlySet<string>;
  /** Whether no other fields are declared to be possible. */
  closed: boolean;
}

/**
 * Those of the cleaning's own `schema` expectations; where it has none, those of the source's schema, followed through
 * the steps: a field that a step gives other values is declared, and nothing is said of its values.
 */
export function declaredFields(
  { steps, expectations }: Pick<CleaningBody, "steps" | "expectations">,
  sourceSchema: JsonSchema | undefined,
): DeclaredFields {
  const own = expectations.filter((one) => one.expect === "schema").map(({ schema }) => fieldsOf(schema));
  if (own.length > 0) {
    return {
      properties: new Map(own.flatMap(({ properties }) => [...properties])),
      required: new Set(own.flatMap(({ required }) => [...required])),
      closed: own.some(({ closed }) => closed),
    };
  }
  return steps.reduce(afterStep, fieldsOf(sourceSchema ?? {}));
}

function fieldsOf(schema: JsonSchema): DeclaredFields {
  const properties = new Map<string, JsonSchema>();
  for (
    const [field, property] of Object.entries(isObject(schema["properties"]) ? schema["properties"] : {})
  ) {
    properties.set(field, isObject(property) ? property : {});
  }
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  return {
    properties,
    required: new Set(required.filter((field) => typeof field === "string")),
    closed: schema["additionalProperties"] === false && schema["patternProperties"] === undefined,
  };
}

function afterStep(fields: DeclaredFields, step: Step): DeclaredFields {
  switch (step.step) {
    case "select":
      return keep(fields, (field) => step.fields.includes(field));
    case "rename":
      return rename(fields, step.fields);
    case "trim":
    case "case":
    case "cast":
    case "parse_time":
    case "parse_number":
    case "clip":
    case "hash":
    case "mask":
      return withAny(fields, step.fields);
    case "fill":
      return withAny(fields, Object.keys(step.fields));
    case "map":
    case "derive":
      return withAny(fields, [step.field]);
    case "extract":
      return withAny(fields, groupsOf(step.pattern));
    case "enrich":
      return withAny(fields, Object.values(step.take));
    case "explode": {
      const into = step.into ?? step.field;
      return withAny(into === step.field ? fields : keep(fields, (field) => field !== step.field), [into]);
    }
    case "filter":
    case "deduplicate":
      return fields;
  }
}

function keep(fields: DeclaredFields, isKept: (field: string) => boolean): DeclaredFields {
  return {
    ...fields,
    properties: new Map([...fields.properties].filter(([field]) => isKept(field))),
    required: new Set([...fields.required].filter(isKept)),
  };
}

function rename(fields: DeclaredFields, names: Readonly<Record<string, string>>): DeclaredFields {
  const renamed = (field: string) => Object.hasOwn(names, field) ? names[field]! : field;
  return {
    ...fields,
    properties: new Map([...fields.properties].map(([field, schema]) => [renamed(field), schema])),
    required: new Set([...fields.required].map(renamed)),
  };
}

function withAny(fields: DeclaredFields, names: readonly string[]): DeclaredFields {
  const properties = new Map(fields.properties);
  for (const name of names) properties.set(name, {});
  return {
    ...fields,
    properties,
    required: new Set([...fields.required].filter((one) => !names.includes(one))),
  };
}

function groupsOf(pattern: string): string[] {
  return [...pattern.matchAll(/\(\?P?<([A-Za-z_]\w*)>/g)].map(([, name]) => name!);
}

/** More would not help anybody. */
const MAX_ANOMALIES = 100;

/** Where the values of a window are not what is declared: each is an anomaly of the kind `schema`. */
export function compareWithDeclared({ records, fields }: WindowFacts, declared: DeclaredFields): Anomaly[] {
  const anomalies = fields.flatMap((field) => {
    const schema = declared.properties.get(field.field);
    const messages = schema === undefined
      ? declared.closed ? ["is not a declared field"] : []
      : [...typeMistakes(field, schema), ...valueMistakes(field, schema)];
    return messages.map((message) => ({ field: field.field, kind: "schema", message }));
  });
  const nullsOf = new Map(fields.map(({ field, nulls }) => [field, nulls]));
  for (const field of declared.required) {
    const nulls = nullsOf.get(field) ?? records;
    if (nulls === 0 || allowsNull(declared.properties.get(field))) continue;
    anomalies.push({
      field,
      kind: "schema",
      message: `is required, and is not there in ${nulls} of ${records} records`,
    });
  }
  return anomalies.slice(0, MAX_ANOMALIES);
}

function typesOf({ type }: JsonSchema): readonly unknown[] | undefined {
  return type === undefined ? undefined : Array.isArray(type) ? type : [type];
}

function allowsNull(schema: JsonSchema | undefined): boolean {
  const types = schema && typesOf(schema);
  return types === undefined || types.includes("null");
}

function typeMistakes({ types }: FieldProfile, schema: JsonSchema): string[] {
  const accepted = typesOf(schema);
  if (accepted === undefined) return [];
  return Object.entries(types)
    .filter(([type]) => !accepted.includes(type) && !(type === "number" && accepted.includes("integer")))
    .map(([type, count]) =>
      `has ${count} values of type ${type}, and is declared as ${accepted.join(" or ")}`
    );
}

function valueMistakes({ types, numbers, lengths, top }: FieldProfile, schema: JsonSchema): string[] {
  const mistakes: string[] = [];
  const { minimum, maximum, minLength, maxLength, enum: values } = schema;
  if (numbers !== null && types["number"] !== undefined) {
    if (typeof minimum === "number" && numbers.min < minimum) {
      mistakes.push(`has the value ${numbers.min}, below its minimum of ${minimum}`);
    }
    if (typeof maximum === "number" && numbers.max > maximum) {
      mistakes.push(`has the value ${numbers.max}, above its maximum of ${maximum}`);
    }
  }
  if (lengths !== null) {
    if (typeof minLength === "number" && lengths.min < minLength) {
      mistakes.push(`has a text of ${lengths.min} characters, and at least ${minLength} are declared`);
    }
    if (typeof maxLength === "number" && lengths.max > maxLength) {
      mistakes.push(`has a text of ${lengths.max} characters, and at most ${maxLength} are declared`);
    }
  }
  if (Array.isArray(values)) {
    const accepted = new Set(values.map(String));
    const others = top.filter(({ value }) => !accepted.has(value)).map(({ value }) => JSON.stringify(value));
    if (others.length > 0) mistakes.push(`has the value ${others.join(", ")}, which is not declared`);
  }
  return mistakes;
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
