/** What is kept of the secret fields of records: their hashes, or nothing. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { SecretPolicy, SourceBody } from "shared/contracts/source.ts";
import { invalid } from "shared/errors.ts";
import { isHashed, type Privacy } from "shared/privacy.ts";
import { pathOf } from "shared/reason_text.ts";
import type { Source } from "./source.ts";

/** Of a message whose records have been protected before they came into EVENTS, with the value `protected`. */
export const SECRETS_HEADER = "Microml-Secrets";
export const PROTECTED = "protected";

/** Where a secret stands in a record. */
export interface SecretPlace {
  /** Names of fields from the outside in. Within an array an index, or `*` for every item. */
  tokens: readonly string[];
  policy: SecretPolicy;
}

/** @throws {AppError} `invalid` when a place is no JSON Pointer, or lies within another one */
export function compileSecrets(secrets: SourceBody["secrets"]): SecretPlace[] {
  const places = Object.entries(secrets).map(([name, policy]) => ({ tokens: tokensOf(name), policy }));
  for (const outer of places) {
    for (const inner of places) {
      if (outer === inner || !startsWith(inner.tokens, outer.tokens)) continue;
      throw invalid(
        `Cannot use the source: its secret ${pointer(inner.tokens)} lies within its secret ${
          pointer(outer.tokens)
        }`,
      );
    }
  }
  return places;
}

function tokensOf(name: string): string[] {
  if (!name.startsWith("/")) return [name];
  if (/~(?![01])/.test(name)) {
    throw invalid(
      `Cannot use the source: its secret ${name} must be a JSON Pointer, where ~ is written ~0 and / ~1`,
    );
  }
  return readPointer(name);
}

function readPointer(path: string): string[] {
  return path.split("/").slice(1).map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** A place as a JSON Pointer. */
export function pointer(tokens: readonly string[]): string {
  return tokens.map(pathOf).join("");
}

function startsWith(path: readonly string[], beginning: readonly string[]): boolean {
  return beginning.length <= path.length && beginning.every((token, index) => meets(token, path[index]!));
}

/** Whether two tokens may name the same field or item. */
function meets(one: string, other: string): boolean {
  return one === other || (one === "*" && INDEX.test(other)) || (other === "*" && INDEX.test(one));
}

const INDEX = /^\d+$/;

/**
 * The record with its secrets hashed or dropped; what is hashed already stays. `null` stays too, it tells nothing. An
 * object or array in a secret's place is hashed as its JSON; a dropped item of an array becomes null, so that the
 * others keep their places.
 *
 * A record may be of another shape than its source's: arrays on the way to a secret are gone through, and a text or
 * number that stands in the way is taken for the secret.
 */
export function protectRecord(
  { secrets }: Pick<Source, "secrets">,
  data: DataRecord,
  privacy: Privacy,
): DataRecord {
  return secrets.reduce<DataRecord>(
    (record, { tokens, policy }) => protectWithin(record, tokens, { policy, privacy }) as DataRecord,
    data,
  );
}

/** The text of what could not be read, encrypted: nobody knows where secrets stand in it. */
export function protectText(text: string, privacy: Privacy): string {
  return privacy.seal(new TextEncoder().encode(text));
}

interface Protection {
  policy: SecretPolicy;
  privacy: Privacy;
}

function protectWithin(container: object, tokens: readonly string[], protection: Protection): unknown {
  const [token = "", ...rest] = tokens;
  if (Array.isArray(container)) {
    const own = token === "*" || INDEX.test(token);
    return container.map((item: unknown, index) =>
      token === String(index) || !INDEX.test(token)
        ? protectValue(item, own ? rest : tokens, protection) ?? null
        : item
    );
  }
  if (Object.hasOwn(container, token)) {
    const { [token]: value, ...others } = container as DataRecord;
    const kept = protectValue(value, rest, protection);
    // In their order, as they came.
    return kept === undefined ? others : { ...container, [token]: kept };
  }
  // An object where the items of an array were expected.
  return token === "*" && rest.length > 0 ? protectWithin(container, rest, protection) : container;
}

/** @returns undefined: nothing is kept */
function protectValue(value: unknown, tokens: readonly string[], protection: Protection): unknown {
  if (value === null) return null;
  if (tokens.length > 0 && typeof value === "object") return protectWithin(value, tokens, protection);
  return protection.policy === "drop" ? undefined : hashed(value, protection.privacy);
}

function hashed(value: unknown, privacy: Privacy): unknown {
  if (isHashed(value)) return value;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return privacy.hash(value);
  }
  return privacy.hash(JSON.stringify(value));
}

/** Whether a secret of the record is there, and hashed. */
export function holdsHash({ secrets }: Pick<Source, "secrets">, data: DataRecord): boolean {
  return secrets.some(({ tokens }) => valuesAt(data, tokens).some(isHashed));
}

/** The values that stand at a place: several where it goes through every item of an array. */
function valuesAt(value: unknown, tokens: readonly string[]): unknown[] {
  const [token, ...rest] = tokens;
  if (token === undefined) return [value];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) =>
      token === "*" || token === String(index) ? valuesAt(item, rest) : []
    );
  }
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, token)) return [];
  return valuesAt((value as DataRecord)[token], rest);
}

/** What the secrets of a source mean for the places of its records, which are JSON Pointers. */
export interface SecretPaths {
  /** Whether the value there is a secret, lies in one, or holds one: no reason may show it. */
  hides(path: string): boolean;
  /** Whether the place is a secret's, and what stands there was neither hashed nor dropped. */
  isBare(path: string, data: DataRecord): boolean;
  /** The path without the names of fields that lie within a secret. */
  withoutNames(path: string): string;
}

export function secretPaths(secrets: readonly SecretPlace[]): SecretPaths {
  const places = secrets.map(({ tokens, policy }) => ({ names: tokens.filter(isName), policy }));
  const around = (path: readonly string[]) => {
    const names = path.filter(isName);
    return places.find((place) => isBeginning(place.names, names));
  };
  return {
    hides(path) {
      const names = readPointer(path).filter(isName);
      return places.some((place) => isBeginning(place.names, names) || isBeginning(names, place.names));
    },
    isBare(path, data) {
      const tokens = readPointer(path);
      const place = around(tokens);
      if (place === undefined) return false;
      const [value] = valuesAt(data, tokens);
      if (place.policy === "drop" && (value === undefined || value === null)) return false;
      return !isHashed(value);
    },
    withoutNames(path) {
      const tokens = readPointer(path);
      const place = around(tokens);
      if (place === undefined) return path;
      let named = 0;
      const end = tokens.findIndex((token) => isName(token) && ++named === place.names.length);
      return pointer(tokens.slice(0, end + 1));
    },
  };
}

/** Places in arrays are all alike here: a record may have one where its source has none. */
function isName(token: string): boolean {
  return token !== "*" && !INDEX.test(token);
}

function isBeginning(beginning: readonly string[], names: readonly string[]): boolean {
  return beginning.length <= names.length && beginning.every((name, index) => name === names[index]);
}
