import type { EventSpine, Spine, TickSpine } from "shared/contracts/feature_store.ts";
import { durationToMs, floorToTick } from "shared/contracts/time.ts";
import type { History, LayoutBuilder } from "./history.ts";
import { selectRecords } from "./selection.ts";
import { ceilToTick } from "./time_grid.ts";

/** A declared spine, compiled: at which T an entity is observed. */
export interface SpinePlan {
  readonly source: string;
  /** Each T within [from, to], ascending; the same one more than once where two events share it. */
  times(history: History, range: TimeRange): Iterable<number>;
}

export interface TimeRange {
  fromMs: number;
  toMs: number;
  /** `now`: as if all that is known today had been known when it happened. */
  asKnown: "then" | "now";
}

/** @throws {AppError} `invalid` when the filter does not compile */
export function planSpine(spine: Spine, layout: LayoutBuilder): SpinePlan {
  const filter = spine.where === undefined ? -1 : layout.filter(spine.where);
  return {
    source: spine.source,
    times: "each" in spine
      ? (history, range) => eventTimes(history, filter, range)
      : (history, range) => activeTicks(history, { ...toMs(spine), filter }, range),
  };
}

const toMs = ({ every, activeWithin }: TickSpine) => ({
  everyMs: durationToMs(every),
  activeWithinMs: durationToMs(activeWithin),
});

/** A spine of events has no length to look back over: an event is there, or is not. */
export const isEventSpine = (spine: Spine): spine is EventSpine => "each" in spine;

/**
 * The ticks at which a matching record of the entity lies in (T - activeWithin, T], known by T: what makes an entity
 * active must not be news from its future. One after the other, for ticks a millisecond apart would be more than fit
 * into the memory.
 */
function* activeTicks(
  history: History,
  { everyMs, activeWithinMs, filter }: { everyMs: number; activeWithinMs: number; filter: number },
  { fromMs, toMs, asKnown }: TimeRange,
): Iterable<number> {
  if (history.length === 0) return;
  const last = floorToTick(Math.min(toMs, history.times.at(-1)! + activeWithinMs), everyMs);
  const news = timesOfNews(history, asKnown);
  let next = 0;
  for (let at = ceilToTick(Math.max(fromMs, history.times[0]!), everyMs); at <= last;) {
    const knownBy = asKnown === "now" ? Infinity : at;
    const active = selectRecords(history, { after: at - activeWithinMs, until: at, knownBy, filter });
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
}

/** Where each matching event, in its newest version, had both happened and become known. */
function eventTimes(
  history: History,
  filter: number,
  { fromMs, toMs, asKnown }: TimeRange,
): Iterable<number> {
  const events = selectRecords(history, { after: -Infinity, until: Infinity, knownBy: Infinity, filter });
  return Float64Array
    .from(events, (position) => timeOfNews(history, position, asKnown))
    .filter((time) => time >= fromMs && time <= toMs)
    .sort();
}

/** When each record had both happened and become known, ascending. */
function timesOfNews(history: History, asKnown: TimeRange["asKnown"]): Float64Array {
  return history.times.map((_, position) => timeOfNews(history, position, asKnown)).sort();
}

function timeOfNews({ times, knownAt }: History, position: number, asKnown: TimeRange["asKnown"]): number {
  const time = times[position]!;
  return asKnown === "now" ? time : Math.max(time, knownAt[position]!);
}
