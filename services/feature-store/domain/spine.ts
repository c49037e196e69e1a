import type { Spine } from "shared/contracts/feature_store.ts";
import { durationToMs, floorToTick } from "shared/contracts/time.ts";
import type { History, LayoutBuilder } from "./history.ts";
import { selectRecords } from "./selection.ts";
import { ceilToTick } from "./time_grid.ts";

/** A declared spine, compiled: at which T an entity is observed. */
export interface SpinePlan {
  readonly source: string;
  /**
   * The ticks within [from, to] at which a matching record of the entity lies in (T - activeWithin, T], known by
   * T: what makes an entity active must not be news from its future. One after the other, for ticks a millisecond
   * apart would be more than fit into the memory.
   */
  activeTicks(history: History, range: { fromMs: number; toMs: number }): Iterable<number>;
}

/** @throws {AppError} `invalid` when the filter does not compile */
export function planSpine(spine: Spine, layout: LayoutBuilder): SpinePlan {
  const everyMs = durationToMs(spine.every);
  const activeWithinMs = durationToMs(spine.activeWithin);
  const filter = spine.where === undefined ? -1 : layout.filter(spine.where);
  return {
    source: spine.source,
    *activeTicks(history, { fromMs, toMs }) {
      if (history.length === 0) return;
      const last = floorToTick(Math.min(toMs, history.times.at(-1)! + activeWithinMs), everyMs);
      const news = timesOfNews(history);
      let next = 0;
      for (let at = ceilToTick(Math.max(fromMs, history.times[0]!), everyMs); at <= last;) {
        const active = selectRecords(history, { after: at - activeWithinMs, until: at, knownBy: at, filter });
        if (active.length > 0) {
          yield at;
          at += everyMs;
          continue;
        }
        // Who is not active stays so until there is news.
        while (next < news.length && news[next]! <= at) next++;
        if (next === news.length) return;
        at = ceilToTick(news[next]!, everyMs);
      }
    },
  };
}

/** When each record had both happened and become known, ascending. */
function timesOfNews({ times, knownAt }: History): Float64Array {
  return times.map((time, position) => Math.max(time, knownAt[position]!)).sort();
}
