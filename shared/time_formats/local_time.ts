// @ts-types="@types/luxon"
import { Info, type Zone } from "luxon";
import { invalid } from "../errors.ts";

/** Milliseconds since 1970 of a local time, given as if it were UTC. */
export type FromLocalTime = (localMs: number) => number;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Clocks are changed at quarters of an hour of UTC. */
const QUARTER_MS = 15 * MINUTE_MS;
const MAX_REMEMBERED = 10_000;

/**
 * The clocks of a zone. Of a time that comes twice, when clocks go back, the first is meant; one that is left out, when
 * they go forward, is as much later. (Luxon's own choice would depend on the day on which it is asked.)
 *
 * @param name an IANA name or `UTC+2`
 * @throws {AppError} `invalid` when the zone is not known, or depends on the machine
 */
export function localTimeOf(name: string): FromLocalTime {
  const zone = zoneOf(name);
  if (zone.isUniversal) {
    const offsetMs = zone.offset(0) * MINUTE_MS;
    return (localMs) => localMs - offsetMs;
  }
  const offsetAt = rememberedOffsets(zone);
  return (localMs) => {
    const before = offsetAt(localMs - DAY_MS);
    const after = offsetAt(localMs + DAY_MS);
    if (before === after) return localMs - before;
    const meant = [localMs - Math.max(before, after), localMs - Math.min(before, after)]
      .find((instant) => offsetAt(instant) === localMs - instant);
    return meant ?? localMs - before;
  };
}

function zoneOf(name: string): Zone {
  const zone = /^(?:local|system|default)$/i.test(name) ? undefined : Info.normalizeZone(name);
  if (zone?.isValid) return zone;
  throw invalid(`has the zone "${name}", which is not known: it must be one such as Europe/Paris or UTC+2`);
}

/** The library asks the locale data anew for each time, which takes microseconds. */
function rememberedOffsets(zone: Zone): (epochMs: number) => number {
  const remembered = new Map<number, number>();
  return (epochMs) => {
    const quarter = Math.floor(epochMs / QUARTER_MS);
    let offsetMs = remembered.get(quarter);
    if (offsetMs === undefined) {
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      offsetMs = zone.offset(quarter * QUARTER_MS) * MINUTE_MS;
      remembered.set(quarter, offsetMs);
    }
    return offsetMs;
  };
}
