import type { Memory } from "../memory.ts";
import type { CompiledExpectation, CompiledStep, RecordState } from "../record_state.ts";

/** A record of a batch on its way through the stages of a cleaning. */
export interface Track extends RecordState {
  /** The position in the batch of the record that it was made from. */
  readonly origin: number;
  /** Why it goes no further. */
  filtered: string | undefined;
}

/** One step or expectation, as all records of a batch go through it together. */
export type Stage =
  | { kind: "step"; apply: CompiledStep }
  | { kind: "expectation"; apply: CompiledExpectation }
  /** @returns what the record becomes: itself, or the records of its items */
  | { kind: "explode"; apply(track: Track): readonly Track[] }
  /** Given those that were not filtered; changes them. */
  | { kind: "memory"; apply(tracks: readonly Track[], memory: Memory): Promise<void> };

/** @returns the records after the stage, those that were filtered included */
export async function runStage(
  stage: Stage,
  tracks: readonly Track[],
  memory: Memory,
): Promise<readonly Track[]> {
  switch (stage.kind) {
    case "memory":
      await stage.apply(tracks.filter(isGoingOn), memory);
      return tracks;
    case "explode":
      return tracks.flatMap((track) => isGoingOn(track) ? stage.apply(track) : [track]);
    case "step":
      for (const track of tracks) {
        if (track.filtered === undefined) track.filtered = stage.apply(track) ?? undefined;
      }
      return tracks;
    case "expectation":
      for (const track of tracks) if (track.filtered === undefined) stage.apply(track);
      return tracks;
  }
}

function isGoingOn({ filtered }: Track): boolean {
  return filtered === undefined;
}
