/** What of a replay is published at once. @module */
import type { Instant } from "shared/contracts/time.ts";

/** What is asked of a record here. */
export interface ReplayableRecord {
  id: string;
  time: Instant;
  /** Of its data. */
  bytes: number;
}

/** A place in the order of a replay. */
export interface ReplayPosition {
  time: Instant;
  id: string;
}

/** Records that go out together. */
export interface ReplayPiece<Record> {
  records: Record[];
  /** Records looked at for it, those that the filter left out included. */
  read: number;
  /** Of the last of them. */
  position: ReplayPosition;
}

export interface PieceOptions<Record> {
  matches(record: Record): boolean;
  /** Most records a second. */
  rate: number | null;
  /** So many times as fast as it happened. */
  pace: number | null;
}

/** Of the records and of their data: a modest message, beside which the live flow finds room. */
const MAX_RECORDS = 500;
const MAX_BYTES = 256 * 1024;
/** With a rate or a pace, pieces are no more than this apart, or as short as one record. */
const STEP_MS = 100;
/** Records that are looked at for a piece: a filter that leaves out nearly all must not hide how far it is. */
const MAX_READ = 10_000;

/**
 * Cuts records into pieces. Where a piece ends depends on nothing but the records and the options: not on how they
 * were fetched, and not on the piece from which on they are read. So a replay that goes on where another one died makes
 * the same messages.
 */
export async function* replayPieces<Record extends ReplayableRecord>(
  pages: AsyncIterable<readonly Record[]>,
  options: PieceOptions<Record>,
): AsyncGenerator<ReplayPiece<Record>> {
  const { matches, rate, pace } = options;
  const maxRecords = rate === null
    ? MAX_RECORDS
    : Math.min(MAX_RECORDS, Math.max(1, Math.floor(rate * STEP_MS / 1_000)));
  const stepOf = ({ time }: Record) => pace === null ? 0 : Math.floor(Date.parse(time) / (pace * STEP_MS));

  let piece: { records: Record[]; read: number; last: Record | undefined } = emptyPiece();
  let bytes = 0;
  for await (const page of pages) {
    for (const record of page) {
      if (matches(record)) {
        const [first] = piece.records;
        const fits = first === undefined || (
          piece.records.length < maxRecords && bytes + record.bytes <= MAX_BYTES &&
          stepOf(record) === stepOf(first)
        );
        if (!fits) {
          yield closed(piece);
          piece = emptyPiece();
          bytes = 0;
        }
        piece.records.push(record);
        bytes += record.bytes;
      }
      piece.read++;
      piece.last = record;
      if (piece.read === MAX_READ) {
        yield closed(piece);
        piece = emptyPiece();
        bytes = 0;
      }
    }
  }
  if (piece.read > 0) yield closed(piece);
}

const emptyPiece = () => ({ records: [], read: 0, last: undefined });

function closed<Record extends ReplayableRecord>(
  { records, read, last }: { records: Record[]; read: number; last: Record | undefined },
): ReplayPiece<Record> {
  return { records, read, position: { time: last!.time, id: last!.id } };
}
