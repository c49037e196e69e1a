import { messageOf } from "shared/errors.ts";
import { compileRecordSchema } from "shared/expressions/record_schema.ts";
import { pathOf } from "shared/reason_text.ts";
import { type KnownFields, NUMBERS, TEXT } from "../known_fields.ts";
import type { CompiledExpectation } from "../record_state.ts";
import { sourceFields } from "../source_fields.ts";
import { recordExpression } from "../steps/expression.ts";
import { complain, type ExpectationOf } from "./complain.ts";

/** An expression that must not be false. */
export function row(expectation: ExpectationOf<"row">, known: KnownFields): CompiledExpectation {
  const { expression, reads } = recordExpression(expectation.expression, known, "boolean");
  return (state) => {
    if (state.failed.size > 0 && reads.some((field) => state.failed.has(field))) return;
    try {
      if (expression.evaluate({ e: state.data }) !== false) return;
      complain(state, expectation, { path: "", message: expectation.message });
    } catch (error) {
      complain(state, expectation, { path: "", message: `${expectation.message}: ${messageOf(error)}` });
    }
  };
}

/** A JSON Schema of the clean record. */
export function schema(expectation: ExpectationOf<"schema">, known: KnownFields): CompiledExpectation {
  const check = compileRecordSchema(expectation.schema);
  refuseImpossible(expectation.schema, known);
  return (state) => {
    for (const reason of check(state.data)) {
      if (!isOfFailed(state.failed, reason.path)) complain(state, expectation, reason);
    }
  };
}

/** @throws {AppError} `invalid` when no record can be as the schema wants it after the steps */
function refuseImpossible(schema: Record<string, unknown>, known: KnownFields): void {
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  known.require(required.filter((field) => typeof field === "string"));
  for (const [field, type] of sourceFields({ schema, secrets: {} }).types) {
    if (known.isAbsent(field)) continue;
    known.require([field], [TEXT, NUMBERS].find((types) => types.includes(type)) ?? [type]);
  }
}

function isOfFailed(failed: ReadonlySet<string>, path: string): boolean {
  return [...failed].map(pathOf).some((place) => path === place || path.startsWith(`${place}/`));
}
