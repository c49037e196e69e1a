import type { SourceBody } from "shared/contracts/source.ts";
import { durationToMs } from "shared/contracts/time.ts";

const DAY_MS = 86_400_000;

/** For how long after their arrival the records of a source are kept; `keepDays` is the default and the bound. */
export function retentionMs({ retention }: Pick<SourceBody, "retention">, keepDays: number): number {
  const longest = keepDays * DAY_MS;
  return retention === undefined ? longest : Math.min(durationToMs(retention), longest);
}

/** For how long after the arrival of an event another one with its id is a duplicate. */
export function horizonMs(
  body: Pick<SourceBody, "retention" | "duplicateHorizon">,
  keepDays: number,
): number {
  return body.duplicateHorizon === undefined
    ? retentionMs(body, keepDays)
    : durationToMs(body.duplicateHorizon);
}
