/** What of a message may stand in the dead letters. @module */
import { DEADLETTER_HEADER } from "shared/bus/dead_letter.ts";
import type { Incoming } from "shared/bus/message.ts";
import { unavailable } from "shared/errors.ts";
import type { Privacy } from "shared/privacy.ts";
import { PROTECTED, SECRETS_HEADER } from "./domain/secrets.ts";
import type { Source } from "./domain/source.ts";

/**
 * The message, encrypted where its source has secrets: nobody has read it, so nobody knows where they stand. What HTTP
 * has protected stays as it is.
 *
 * @throws {AppError} `unavailable` when there is no key: the message has to wait for one
 */
export function sealDeadLetter(
  message: Incoming,
  source: Source | undefined,
  privacy: Privacy | undefined,
): Incoming {
  if (source === undefined || source.secrets.length === 0) return message;
  if (message.headers[SECRETS_HEADER] === PROTECTED) return message;
  if (privacy === undefined) {
    throw unavailable(
      `Cannot move a message of "${source.name}": it has secrets, and SECRETS_KEY is not set`,
    );
  }
  return {
    ...message,
    data: new TextEncoder().encode(privacy.seal(message.data)),
    headers: { ...message.headers, [DEADLETTER_HEADER.sealed]: "true" },
  };
}

/** What {@link sealDeadLetter} has encrypted. @throws {AppError} `invalid` when it was sealed with another key */
export function openDeadLetter(payload: Uint8Array, privacy: Privacy): Uint8Array {
  return privacy.open(new TextDecoder().decode(payload));
}
