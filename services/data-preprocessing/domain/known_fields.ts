import { invalid } from "shared/errors.ts";
import type { VariableType } from "shared/expressions/cel.ts";

/** What the values of a field are, null apart. An `instant` is text too, and an `integer` a number. */
export type FieldType = "text" | "instant" | "number" | "integer" | "boolean" | "list" | "object";

export const TEXT: readonly FieldType[] = ["text", "instant"];
export const NUMBERS: readonly FieldType[] = ["number", "integer"];
export const SCALARS: readonly FieldType[] = [...TEXT, ...NUMBERS, "boolean"];

const IN_WORDS: Readonly<Record<FieldType, string>> = {
  text: "text",
  instant: "an instant",
  number: "a number",
  integer: "an integer",
  boolean: "true or false",
  list: "a list",
  object: "an object",
};

/** The types of expressions that stand for those of fields. Lists and objects are left to be seen at run time. */
const IN_EXPRESSIONS: Readonly<Partial<Record<FieldType, VariableType>>> = {
  text: "string",
  instant: "string",
  number: "double",
  integer: "double",
  boolean: "bool",
};

/** Whether every JavaScript object has a property of this name, so that a missing field could not be told. */
export function isUnusable(field: string): boolean {
  return field in Object.prototype;
}

/** @throws {AppError} `invalid` when a field has a name that every JavaScript object has already */
export function refuseUnusable(fields: readonly string[]): void {
  const unusable = fields.find(isUnusable);
  if (unusable !== undefined) throw invalid(`names the field "${unusable}", which cannot be used`);
}

/** The type of a value that a definition names, or that a schema lists. */
export function typeOfValue(value: unknown): FieldType | undefined {
  switch (typeof value) {
    case "string":
      return "text";
    case "number":
      return Number.isInteger(value) ? "integer" : "number";
    case "boolean":
      return "boolean";
    case "object":
      return value === null ? undefined : Array.isArray(value) ? "list" : "object";
    default:
      return undefined;
  }
}

/** The one type that holds for values of all these types; `undefined` when there is none, or one is not known. */
export function commonType(types: readonly (FieldType | undefined)[]): FieldType | undefined {
  const [first, ...others] = types;
  return others.reduce((common, type) => {
    if (common === undefined || type === undefined || common === type) return common && type;
    if (NUMBERS.includes(common) && NUMBERS.includes(type)) return "number";
    return TEXT.includes(common) && TEXT.includes(type) ? "text" : undefined;
  }, first);
}

/** What is known of a source's records before any step: from its schema, where that is defined. */
export interface FieldFacts {
  types: ReadonlyMap<string, FieldType>;
  /** All fields that there can be; absent: there may be others. */
  names?: readonly string[];
}

/**
 * What is known of the fields that a record can have at a point of a cleaning: which ones there can be, from the
 * schema or the first `select` on, and of what types they are. What is not known is not complained about.
 */
export class KnownFields {
  #names: Set<string> | undefined;
  readonly #types: Map<string, FieldType>;
  #namedBy: "the source's schema has" | "a select before it left" = "the source's schema has";

  constructor(facts: FieldFacts = { types: new Map() }) {
    this.#names = facts.names && new Set(facts.names);
    this.#types = new Map(facts.types);
  }

  /** Whether no record has the field here. */
  isAbsent(field: string): boolean {
    return this.#names !== undefined && !this.#names.has(field);
  }

  /** The type of the field's values; `undefined`: not known. */
  typeOf(field: string): FieldType | undefined {
    return this.#types.get(field);
  }

  /** As an expression over the record is checked with. */
  get expressionTypes(): Readonly<Record<string, VariableType>> {
    return Object.fromEntries(
      [...this.#types].flatMap(([field, type]) => {
        const known = IN_EXPRESSIONS[type];
        return known === undefined ? [] : [[field, known]];
      }),
    );
  }

  /**
   * Checks that the fields can be read here, and hold what is needed.
   *
   * @param accepted types; absent: any
   * @throws {AppError} `invalid` with all that is wrong
   */
  require(fields: readonly string[], accepted?: readonly FieldType[]): void {
    const mistakes = fields.flatMap((field) => this.#mistake(field, accepted));
    if (mistakes.length > 0) throw invalid(mistakes.join("; "));
  }

  #mistake(field: string, accepted: readonly FieldType[] | undefined): string[] {
    if (isUnusable(field)) return [`names the field "${field}", which cannot be used`];
    if (this.isAbsent(field)) {
      return [
        `reads the field "${field}", which is not there: ${this.#namedBy} ${
          [...this.#names ?? []].join(", ")
        }`,
      ];
    }
    const type = this.typeOf(field);
    if (type === undefined || accepted === undefined || accepted.includes(type)) return [];
    return [`reads the field "${field}", which holds ${IN_WORDS[type]}, and it needs ${inWords(accepted)}`];
  }

  keepOnly(fields: readonly string[]): void {
    this.#names = new Set(fields);
    this.#namedBy = "a select before it left";
    for (const field of this.#types.keys()) if (!this.#names.has(field)) this.#types.delete(field);
  }

  /** The field can be there from here on. @param type of its values; absent: not known */
  set(field: string, type?: FieldType): void {
    this.#names?.add(field);
    if (type === undefined) this.#types.delete(field);
    else this.#types.set(field, type);
  }

  /** The fields can be there from here on, with values of any type. */
  add(fields: readonly string[]): void {
    for (const field of fields) this.set(field);
  }

  remove(fields: readonly string[]): void {
    for (const field of fields) {
      this.#names?.delete(field);
      this.#types.delete(field);
    }
  }
}

/** An instant goes without saying where any text will do, and an integer where any number will. */
function inWords(types: readonly FieldType[]): string {
  const told = types.filter((type) =>
    !(type === "instant" && types.includes("text")) && !(type === "integer" && types.includes("number"))
  );
  return told.map((type) => IN_WORDS[type]).join(" or ");
}
