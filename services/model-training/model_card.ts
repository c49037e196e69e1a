/** The use case of reading a version's card. @module */
import { curvesSchema, type ModelCard } from "shared/contracts/model_training.ts";
import type { Database } from "shared/db/connection.ts";
import { notFound } from "shared/errors.ts";
import type { ModelDefinitions } from "./definitions.ts";
import { listMoves } from "./repository/aliases.ts";
import { listComparisons } from "./repository/comparisons.ts";
import { findRun } from "./repository/find_runs.ts";
import { findVersionDetail } from "./repository/versions.ts";

/** Of moves and comparisons, the newest. */
const LISTED = 50;

/** @throws {AppError} `not_found` */
export async function readCard(
  { db, definitions }: { db: Database; definitions: ModelDefinitions },
  { model, version }: { model: string; version: number },
): Promise<ModelCard> {
  const found = await findVersionDetail(db, model, version);
  const run = found && await findRun(db, found.run);
  if (found === undefined || run === undefined) {
    throw notFound(`Cannot read the card of version ${version} of ${model}: there is none`);
  }
  const loggedRun = run.loggedRun === null ? undefined : await findRun(db, run.loggedRun);
  const { curves, ...detail } = found;
  const definition = await definitions.get("model", model);
  const moves = await listMoves(db, { model, version, limit: LISTED });
  const comparisons = await listComparisons(db, { model, candidate: version, limit: LISTED });
  return {
    version: detail,
    run,
    loggedRun: loggedRun ?? null,
    description: definition?.body.description ?? "",
    // A version that was made before something was computed has none of it.
    curves: curves && curvesSchema.parse(curves),
    moves: moves.slice(0, LISTED).map(({ id: _, ...move }) => move),
    comparisons: comparisons.slice(0, LISTED),
  };
}
