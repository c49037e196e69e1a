/** What a batch of clean records says about the windows of event time that they lie in. @module */
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import { floorToTick, type Instant, toInstant } from "shared/contracts/time.ts";
import { createRecordStatistics, type RecordStatistics } from "shared/statistics/record_statistics.ts";
import type { WindowRules } from "../domain/windows/rules.ts";
import type { Part } from "../repository/profiles.ts";

/** What lies in one window. */
interface Piece {
  records: number;
  newestAt: Instant;
  /** Where only the number matters there is none. */
  statistics: RecordStatistics | undefined;
}

export interface BatchOfSource {
  source: string;
  /** Null when the source has been removed. */
  project: string | null;
  events: readonly PlatformEvent[];
}

/** A part a window, for each length that the rules ask for. */
export function partsOf({ source, project, events }: BatchOfSource, rules: WindowRules): Part[] {
  const done: { ms: number; statistics: boolean; pieces: Map<number, Piece> }[] = [];
  for (const { ms, statistics } of rules.lengths) {
    // Merging what shorter windows say is cheaper than looking at every value again.
    const shorter = done.findLast((other) => ms % other.ms === 0 && (other.statistics || !statistics));
    const pieces = shorter
      ? mergePieces(shorter.pieces, { ms, statistics })
      : piecesOf(events, { ms, statistics });
    done.push({ ms, statistics, pieces });
  }
  return done.flatMap(({ ms, pieces }) =>
    [...pieces].map(([startMs, { records, newestAt, statistics }]) => ({
      source,
      project,
      windowMs: ms,
      startsAt: toInstant(startMs),
      records,
      newestAt,
      statistics: statistics?.encode() ?? null,
    }))
  );
}

interface Length {
  ms: number;
  statistics: boolean;
}

function piecesOf(events: readonly PlatformEvent[], { ms, statistics }: Length): Map<number, Piece> {
  const pieces = new Map<number, Piece>();
  for (const { time, data } of events) {
    const piece = pieceAt(pieces, floorToTick(Date.parse(time), ms), statistics);
    piece.records++;
    if (time > piece.newestAt) piece.newestAt = time;
    piece.statistics?.add(data);
  }
  return pieces;
}

function mergePieces(shorter: ReadonlyMap<number, Piece>, { ms, statistics }: Length): Map<number, Piece> {
  const pieces = new Map<number, Piece>();
  for (const [startMs, part] of shorter) {
    const piece = pieceAt(pieces, floorToTick(startMs, ms), statistics);
    piece.records += part.records;
    if (part.newestAt > piece.newestAt) piece.newestAt = part.newestAt;
    if (part.statistics !== undefined) piece.statistics?.merge(part.statistics);
  }
  return pieces;
}

function pieceAt(pieces: Map<number, Piece>, startMs: number, statistics: boolean): Piece {
  let piece = pieces.get(startMs);
  if (piece === undefined) {
    piece = { records: 0, newestAt: "", statistics: statistics ? createRecordStatistics() : undefined };
    pieces.set(startMs, piece);
  }
  return piece;
}
