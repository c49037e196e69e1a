import { type Duration, durationToMs } from "shared/contracts/time.ts";
import { invalid } from "shared/errors.ts";
import { pathOf } from "shared/reason_text.ts";
import type { KnownFields } from "../known_fields.ts";
import type { KeyScope, KeyUse, Memory } from "../memory.ts";
import type { StageStep, UniqueExpectation } from "../record_state.ts";
import type { Stage, Track } from "./stage.ts";

/** Why a record does not go on that repeats another. */
const DUPLICATE = "duplicate";

/**
 * Compiles the step that lets only the first of equal records go on. "First" is by (event time, id), among the
 * records of the batch and those remembered; a record that comes after a later one went on goes on as well, because
 * nothing earlier is known. Records in which one of the fields is null, or which have failed already, are let
 * through, and are nobody's first.
 *
 * @throws {AppError} `invalid` when a field cannot be there, or the time is nothing
 */
export function compileDeduplicate(
  { by, within }: Extract<StageStep, { step: "deduplicate" }>,
  known: KnownFields,
): Stage {
  known.require(by);
  const scope = keyScope("deduplicate", by, within);
  return {
    kind: "memory",
    async apply(tracks, memory) {
      const users = usersOf(tracks.filter(({ reasons }) => reasons.length === 0), by);
      // Those that do not go on hold nobody else back: one that lies `within` after the first goes on again.
      const repeated = await findRepeated(users, { memory, scope, remember: "those that go on" });
      for (const { track } of repeated) track.filtered = DUPLICATE;
    },
  };
}

/**
 * Compiles the expectation that no earlier record has the same values. Of nulls it has nothing to say.
 *
 * @throws {AppError} `invalid` when a field cannot be there, or the time is nothing
 */
export function compileUnique(
  { fields, within, action }: UniqueExpectation,
  known: KnownFields,
): Stage {
  known.require(fields);
  const scope = keyScope("unique", fields, within);
  const path = fields.length === 1 ? pathOf(fields[0]!) : "";
  const names = fields.map((field) => `"${field}"`).join(", ");
  const message = `must be unique: an earlier record less than ${within} before has the same ${names}`;
  return {
    kind: "memory",
    async apply(tracks, memory) {
      for (
        const { track } of await findRepeated(usersOf(tracks, fields), { memory, scope, remember: "all" })
      ) {
        (action === "warn" ? track.warnings : track.reasons).push({ path, message });
        if (action === "block") track.blocked = true;
      }
    },
  };
}

function keyScope(kind: string, fields: readonly string[], within: Duration): KeyScope {
  const withinMs = durationToMs(within);
  if (withinMs === 0) throw invalid("must look back for longer than nothing");
  return { name: JSON.stringify([kind, fields, withinMs]), withinMs };
}

interface User {
  track: Track;
  use: KeyUse;
}

function usersOf(tracks: readonly Track[], fields: readonly string[]): User[] {
  return tracks.flatMap((track) => {
    const values = fields.map((field) => track.failed.has(field) ? null : track.data[field] ?? null);
    if (values.includes(null)) return [];
    return [{ track, use: { key: JSON.stringify(values), time: track.event.time, id: track.event.id } }];
  });
}

/** Those before which another of the same key is known: in memory, or in the batch. */
async function findRepeated(
  users: readonly User[],
  { memory, scope, remember }: { memory: Memory; scope: KeyScope; remember: "all" | "those that go on" },
): Promise<User[]> {
  if (users.length === 0) return [];
  const known = await memory.wereUsed(scope, users.map(({ use }) => use));
  const candidates = users.map((user, index) => ({ ...user, known: known[index]! }));
  candidates.sort((a, b) => compare(a.use, b.use));
  const lastUse = new Map<string, number>();
  const repeated: User[] = [];
  const remembered: KeyUse[] = [];
  for (const { track, use, known } of candidates) {
    const atMs = Date.parse(use.time);
    const isRepeated = known || atMs - (lastUse.get(use.key) ?? -Infinity) < scope.withinMs;
    if (isRepeated) repeated.push({ track, use });
    if (isRepeated && remember !== "all") continue;
    lastUse.set(use.key, atMs);
    remembered.push(use);
  }
  memory.rememberUses(scope, remembered);
  return repeated;
}

function compare(a: KeyUse, b: KeyUse): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
