import type { AppError, Reason } from "shared/errors.ts";

/** An error with all its reasons, one a line. */
export function renderError(error: AppError): string {
  return [error.message, ...error.reasons.map((reason) => `  ${renderReason(reason)}`)].join("\n");
}

/** What is wrong, and where. */
export function renderReason({ path, message }: Reason): string {
  return path === "" ? message : `${path}: ${message}`;
}
