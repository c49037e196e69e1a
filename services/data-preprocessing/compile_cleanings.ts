/** Compiling cleanings: those that are offered, with all that is known, and those in force. @module */
import type { CleaningBody } from "shared/contracts/cleaning.ts";
import { delay } from "shared/delay.ts";
import { messageOf, unavailable } from "shared/errors.ts";
import type { Privacy } from "shared/privacy.ts";
import { type Cleaning, compileCleaning } from "./domain/cleaning.ts";
import { sourceFields } from "./domain/source_fields.ts";
import type { Sources } from "./sources.ts";

export interface CompileDeps {
  sources: Pick<Sources, "all">;
  /** Absent: the service has no key. */
  privacy: Privacy | undefined;
}

const WAIT_MS = 2_000;
const LOOK_MS = 25;

/**
 * Compiles a cleaning that is offered for a source, and checks it against the source's schema, where the source is
 * defined. The bucket tells of a source that was changed a moment ago a little later: what only the schema forbids is
 * looked at again for two seconds.
 *
 * @throws {AppError} `invalid` with every mistake, by its place in the body
 */
export async function compileOffered(
  source: string,
  body: CleaningBody,
  { sources, privacy }: CompileDeps,
): Promise<Cleaning> {
  for (let waitedMs = 0;; waitedMs += LOOK_MS) {
    try {
      const known = sources.all().get(source)?.body;
      return compileCleaning(body, { privacy, facts: known && sourceFields(known) });
    } catch (error) {
      if (waitedMs >= WAIT_MS || !isAcceptable(body, privacy)) throw error;
    }
    await delay(LOOK_MS);
  }
}

function isAcceptable(body: CleaningBody, privacy: Privacy | undefined): boolean {
  try {
    compileCleaning(body, { privacy });
    return true;
  } catch {
    return false;
  }
}

/**
 * Compiles a cleaning that was accepted once. Its source's schema may have changed since: that is not looked at.
 *
 * @throws {AppError} `unavailable` when this service lacks what the cleaning needs, such as the key: no record is to
 *   blame, and waiting until it has it is right
 */
export function compileAccepted(body: CleaningBody, { privacy }: Pick<CompileDeps, "privacy">): Cleaning {
  try {
    return compileCleaning(body, { privacy });
  } catch (error) {
    throw unavailable(`Cannot use a cleaning that is in force: ${messageOf(error)}`, { cause: error });
  }
}
