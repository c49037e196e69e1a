import type { DataRecord } from "shared/contracts/envelope.ts";
import { pathOf, shown } from "shared/reason_text.ts";
import { type KnownFields, refuseUnusable, SCALARS } from "../known_fields.ts";
import type { Memory } from "../memory.ts";
import type { StageStep } from "../record_state.ts";
import { entityName } from "./entity_name.ts";
import type { Stage, Track } from "./stage.ts";

type Enrich = Extract<StageStep, { step: "enrich" }>;

/**
 * Compiles the step that takes fields from the state of an entity, as it was and was known at the event's time. A
 * record that names no entity is as one whose entity is unknown; a field that the state lacks becomes null.
 *
 * @throws {AppError} `invalid` when a field cannot be there, or cannot be used
 */
export function compileEnrich(step: Enrich, known: KnownFields): Stage {
  const targets = Object.values(step.take);
  known.require(step.by, SCALARS);
  refuseUnusable(targets);
  known.add(targets);
  return { kind: "memory", apply: (tracks, memory) => enrich(tracks, memory, step) };
}

async function enrich(tracks: readonly Track[], memory: Memory, step: Enrich): Promise<void> {
  const named: { track: Track; entity: string }[] = [];
  for (const track of tracks) {
    if (step.by.some((field) => track.failed.has(field))) {
      for (const target of Object.values(step.take)) track.failed.add(target);
      continue;
    }
    const entity = entityName(track.data, step.by);
    if (entity === undefined) miss(track, step, "names no entity");
    else named.push({ track, entity });
  }
  if (named.length === 0) return;
  const questions = named.map(({ track, entity }) => ({ entity, at: track.event.time }));
  const states = await memory.statesOf(step.from, questions);
  for (const [index, { track, entity }] of named.entries()) {
    const state = states[index];
    if (state === undefined) miss(track, step, `names ${shown(entity)}, which was not known`);
    else take(track, step, state);
  }
}

function take({ data, failed }: Track, step: Enrich, state: DataRecord): void {
  for (const [from, to] of Object.entries(step.take)) {
    data[to] = state[from] ?? null;
    failed.delete(to);
  }
}

function miss(track: Track, step: Enrich, complaint: string): void {
  if (step.missing === "null") return take(track, step, {});
  const message = `${complaint} in "${step.from}" at ${track.event.time}`;
  track.reasons.push({ path: pathOf(step.by[0]!), message });
  for (const target of Object.values(step.take)) track.failed.add(target);
}
