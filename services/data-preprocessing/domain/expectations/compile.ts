import type { KnownFields } from "../known_fields.ts";
import type { CompiledExpectation, RowExpectation } from "../record_state.ts";
import { notNull, ofField, patternMistake, rangeMistake, setMistake } from "./fields.ts";
import { row, schema } from "./record.ts";

/**
 * Compiles one expectation, of those that look at one record alone.
 *
 * @param known the fields that a clean record can have
 * @throws {AppError} `invalid` with what is wrong with the expectation
 */
export function compileExpectation(expectation: RowExpectation, known: KnownFields): CompiledExpectation {
  switch (expectation.expect) {
    case "not_null":
      return notNull(expectation, known);
    case "range":
      return ofField(expectation, rangeMistake(expectation, known));
    case "set":
      return ofField(expectation, setMistake(expectation, known));
    case "pattern":
      return ofField(expectation, patternMistake(expectation, known));
    case "row":
      return row(expectation, known);
    case "schema":
      return schema(expectation, known);
  }
}
