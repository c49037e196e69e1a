import type { Spine } from "shared/contracts/feature_store.ts";
import { durationToMs } from "shared/contracts/time.ts";
import type { History, LayoutBuilder } from "./history.ts";
import { selectRecords } from "./selection.ts";
import { ceilToGrid, floorToGrid } from "./time_grid.ts";

/** A declared spine, compiled: at which T an entity is observed. */
export interface SpinePlan {
  readonly source: string;
  /**
   * The ticks within [from, to] at which a matching record of the entity lies in (T - activeWithin, T], known by
   * T: what makes an entity active must not be news from its future.
   */
  activeTicks(history: History, range: { fromMs: number; toMs: number }): number[];
}

/** @throws {AppError} `invalid` when the filter does not compile */
export function planSpine(spine: Spine, layout: LayoutBuilder): SpinePlan {
  const everyMs = durationToMs(spine.every);
  const activeWithinMs = durationToMs(spine.activeWithin);
  const filter = spine.where === undefined ? -1 : layout.filter(spine.where);
  return {
    source: spine.source,
    activeTicks(history, { fromMs, toMs }) {
      if (history.length === 0) return [];
      const first = ceilToGrid(Math.max(fromMs, history.times[0]!), everyMs);
      const last = floorToGrid(Math.min(toMs, history.times.at(-1)! + activeWithinMs), everyMs);
      const ticks: number[] = [];
      for (let at = first; at <= last; at += everyMs) {
        const active = selectRecords(history, { after: at - activeWithinMs, until: at, knownBy: at, filter });
        if (active.length > 0) ticks.push(at);
      }
      return ticks;
    },
  };
}
