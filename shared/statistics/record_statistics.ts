/** What records say, field by field: mergeable as the statistics of a field are. @module */
import type { FieldProfile } from "../contracts/data_preprocessing.ts";
import type { DataRecord } from "../contracts/envelope.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { createFieldStatistics, decodeFieldStatistics, type FieldStatistics } from "./field_statistics.ts";

/** Records may name their fields as they like, each one otherwise: of more fields than this the rest is not looked at. */
export const MAX_PROFILED_FIELDS = 500;

export interface RecordStatistics {
  readonly records: number;
  /** By name; fields within fields are not told apart. */
  readonly fields: ReadonlyMap<string, FieldStatistics>;
  add(record: DataRecord): void;
  merge(other: RecordStatistics): void;
  /** By name; records without the field count as nulls. */
  summary(): FieldProfile[];
  encode(): Uint8Array;
}

const VERSION = 1;

export function createRecordStatistics(): RecordStatistics {
  return new StatisticsByField();
}

/** @throws {RangeError} when the bytes are not what {@link RecordStatistics.encode} of this version gives */
export function decodeRecordStatistics(bytes: Uint8Array): RecordStatistics {
  return StatisticsByField.read(new ByteReader(bytes));
}

class StatisticsByField implements RecordStatistics {
  records = 0;
  readonly fields = new Map<string, FieldStatistics>();

  add(record: DataRecord): void {
    this.records++;
    for (const field of Object.keys(record)) this.#of(field)?.add(record[field]);
  }

  merge(other: RecordStatistics): void {
    this.records += other.records;
    for (const [field, statistics] of other.fields) this.#of(field)?.merge(statistics);
  }

  summary(): FieldProfile[] {
    return [...this.fields]
      .sort(([a], [b]) => a < b ? -1 : 1)
      .map(([field, statistics]) => statistics.summary({ field, records: this.records }));
  }

  encode(): Uint8Array {
    const to = new ByteWriter();
    to.byte(VERSION);
    to.count(this.records);
    to.count(this.fields.size);
    for (const [field, statistics] of this.fields) {
      to.text(field);
      to.bytes(statistics.encode());
    }
    return to.finish();
  }

  static read(from: ByteReader): StatisticsByField {
    const version = from.byte();
    if (version !== VERSION) {
      throw new RangeError(
        `Cannot read statistics: they are of version ${version}, and ${VERSION} is known here`,
      );
    }
    const statistics = new StatisticsByField();
    statistics.records = from.count();
    for (let left = from.count(); left > 0; left--) {
      const field = from.text();
      statistics.fields.set(field, decodeFieldStatistics(from.bytes()));
    }
    return statistics;
  }

  #of(field: string): FieldStatistics | undefined {
    const known = this.fields.get(field);
    if (known !== undefined || this.fields.size >= MAX_PROFILED_FIELDS) return known;
    const statistics = createFieldStatistics();
    this.fields.set(field, statistics);
    return statistics;
  }
}
