import { type Circumstances, Hearing, type Judgement, type RefusedRecord } from "./judge.ts";
import { type KeptRecord, readAgain } from "./read_again.ts";

export interface JudgedAgain {
  /** Of those that may come in now. None is counted as received once more, but lines of what was one text are. */
  judgement: Judgement;
  /** What still may not, by the number of what was kept. */
  refused: { number: number; records: RefusedRecord[] }[];
}

/**
 * Judges rejected records by their sources as they are now. Their receipts stay: where they came from, when they
 * arrived, and what names them.
 *
 * @throws {AppError} `unavailable` when a source has secrets and there is no key
 */
export function judgeAgain(kept: readonly KeptRecord[], circumstances: Circumstances): JudgedAgain {
  const hearing = new Hearing(circumstances);
  const refused = kept.map((record) => {
    const source = circumstances.sources.get(record.source);
    const found = readAgain(record, source, circumstances.privacy);
    if (found.length > 1) hearing.count(record, found.length - 1);
    const records = found.flatMap((again) => {
      const result = hearing.judge(again, {
        headers: record.headers,
        fallbackId: () => again.fallbackId,
        newestAtArrival: record.clock ?? undefined,
      });
      return result === undefined ? [] : [result];
    });
    return { number: record.number, records };
  });
  return {
    judgement: { ...hearing.judgement(), refused: [] },
    refused: refused.filter(({ records }) => records.length > 0),
  };
}
