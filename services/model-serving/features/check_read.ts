/** What was read of entities, checked by the model's signature. @module */
import { AppError } from "shared/errors.ts";
import { pointerToken } from "shared/reason_text.ts";
import type { CheckedRows, RowChecker, Tell } from "../validation/row_checker.ts";
import type { FeatureRead } from "./read_features.ts";

/**
 * A mistake stands in the call where the call gives the feature, else in the entity.
 *
 * @throws {AppError} `invalid`; `unavailable` where only the deployment's defaults do not fit, which is no mistake of the
 * caller: the version in force takes other features than the one that they were declared for
 */
export function checkRead({ values, statuses }: FeatureRead, checker: RowChecker): CheckedRows {
  let isOfDefaults = true;
  const tell: Tell = (row, name, message) => {
    const status = statuses[row]![checker.names.indexOf(name)];
    isOfDefaults &&= status === "DEFAULT";
    return status === "GIVEN"
      ? { path: `/features/${row}/${pointerToken(name)}`, message }
      : { path: `/entities/${row}`, message: `has a feature ${name} (${status}) that ${message}` };
  };
  try {
    return checker.matrix(values, statuses.length, tell);
  } catch (error) {
    if (!(error instanceof AppError) || !isOfDefaults) throw error;
    const { message, reasons } = error;
    throw new AppError(
      "unavailable",
      `${message}; the features did not come, and the deployment's defaults can't stand for them`,
      { reasons, cause: error, retryAfter: 1 },
    );
  }
}
