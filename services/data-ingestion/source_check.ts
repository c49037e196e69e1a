/** The check of a source's definition before it is written. @module */
import { type SourceBody, sourceBodySchema } from "shared/contracts/source.ts";
import type { Transaction } from "shared/db/connection.ts";
import { selectCurrent } from "shared/definitions/table.ts";
import { conflict, invalid } from "shared/errors.ts";
import type { Privacy } from "shared/privacy.ts";
import { incompatibilities } from "./domain/compatibility.ts";
import { compileSource } from "./domain/source.ts";

/**
 * Checks a definition that is new or changed.
 *
 * @throws {AppError} `invalid` when it can't be used; `conflict` when it is not compatible with the one in force, with
 * every change that is not
 */
export async function checkSource(
  tx: Transaction,
  { name, body }: { name: string; body: SourceBody },
  { privacy }: { privacy: Privacy | undefined },
): Promise<void> {
  compileSource({ name, project: "", version: 1, body });
  if (privacy === undefined && Object.keys(body.secrets).length > 0) {
    throw invalid(`Cannot put the source "${name}": it has secrets, and SECRETS_KEY is not set`);
  }
  if (body.compatibility === "none") return;
  const current = await selectCurrent(tx, "source", name);
  if (current === undefined) return;
  const reasons = incompatibilities(sourceBodySchema.parse(current.body), body);
  if (reasons.length === 0) return;
  throw conflict(
    `Cannot change the source "${name}": ${describe(reasons.length)} with version ${current.version}; ` +
      `take a new name, or set compatibility to "none" for a version that stored records are not of`,
    reasons.map(({ path, message }) => ({ path: `/body${path}`, message })),
  );
}

const describe = (count: number) =>
  count === 1 ? "one change is not compatible" : `${count} changes are not compatible`;
