import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { compilePattern } from "./pattern.ts";
import { invalid, messageOf, type Reason } from "../errors.ts";
import { pointerToken, shown } from "../reason_text.ts";

/** Finds every way in which a record breaks its source's schema. */
export type RecordCheck = (data: Record<string, unknown>) => Reason[];

export interface RecordSchemaOptions {
  /** Whether no reason may show the value at this place, a JSON Pointer. Default: every value may be shown. */
  hides?: (path: string) => boolean;
}

/** More would not help anybody, and a record may break a schema in as many ways as it has items. */
const MAX_REASONS = 100;

/**
 * Compiles a source's JSON Schema (draft 2020-12). `format` says nothing, as the draft has it by default;
 * patterns run on the linear-time engine of shared/expressions/pattern.ts.
 *
 * @throws {AppError} `invalid` when the schema is not one, or has a keyword that nobody knows
 */
export function compileRecordSchema(
  schema: Record<string, unknown>,
  { hides = () => false }: RecordSchemaOptions = {},
): RecordCheck {
  if (schema["$async"] !== undefined) {
    throw invalid("Cannot use the JSON Schema: $async is not a keyword of the draft");
  }
  try {
    const validate = new Ajv2020({
      allErrors: true,
      // So that an error can show the value.
      verbose: true,
      strictTypes: false,
      strictTuples: false,
      validateFormats: false,
      code: { regExp: linearTimePattern },
      logger: false,
    }).compile(schema);
    return (data) => {
      if (validate(data)) return [];
      const errors = validate.errors ?? [];
      const reasons = errors.slice(0, MAX_REASONS).map((error) => toReason(error, hides(error.instancePath)));
      const more = errors.length - MAX_REASONS;
      if (more > 0) reasons.push({ path: "", message: `breaks its schema in ${more} more ways` });
      return reasons;
    };
  } catch (error) {
    throw invalid(`Cannot use the JSON Schema: ${messageOf(error)}`);
  }
}

/** Ajv keeps compiled patterns by their text: without a `toString` of its own one pattern would serve for all. */
const linearTimePattern = Object.assign(
  (source: string) => {
    const pattern = compilePattern(source);
    return { test: pattern.test, toString: () => `linear-time ${source}` };
  },
  { code: "linearTimePattern" },
);

function toReason(error: ErrorObject, hidden: boolean): Reason {
  const { instancePath: path, params, message = "is not valid" } = error;
  const found = hidden ? "" : `, not ${shown(error.data)}`;
  switch (error.keyword) {
    case "required":
      return { path: `${path}/${pointerToken(params["missingProperty"])}`, message: "must be there" };
    case "additionalProperties":
      return {
        path: `${path}/${pointerToken(params["additionalProperty"])}`,
        message: "is not a field of this source",
      };
    case "enum":
      return {
        path,
        message: `must be one of ${JSON.stringify(params["allowedValues"])}${found}`,
      };
    default:
      return { path, message: `${message}${found}` };
  }
}
