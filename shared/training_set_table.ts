/** Training sets in memory: what the feature store makes and the trainers learn from. @module */

/** Observations column by column; every column has one element a row. */
export interface TrainingSetTable {
  /** Canonical entity keys. */
  readonly entities: readonly string[];
  /** T, milliseconds since 1970. */
  readonly times: Float64Array;
  /** NaN where there is none; of booleans 0 and 1; of text labels the position in `labelCategories`. */
  readonly labels: Float64Array;
  /** Absent: they are numbers, or text where `labelCategories` is there. */
  readonly labelType?: "boolean";
  /** Of text labels: the distinct ones, ascending. */
  readonly labelCategories?: readonly string[];
  /** 1 where T + within does not lie after the clock. Absent where every row without a label is immature. */
  readonly mature?: Uint8Array;
  /** In the order of the feature service. */
  readonly features: readonly TrainingSetColumn[];
  /** Taken over from the spine; absent where nothing was. */
  readonly carried?: readonly TrainingSetColumn[];
}

/** What a column holds. Numbers are the default: without `type`. */
export interface TrainingSetColumn {
  /** Of a feature `view.feature`; what is carried has no dot in its name. */
  readonly name: string;
  /** Numbers; of booleans 0 and 1; of text the position in `categories`. NaN is null. */
  readonly values: Float64Array;
  readonly type?: "boolean" | "text";
  /** Of text, and only of text: the distinct values, ascending. */
  readonly categories?: readonly string[];
}

/** The values of a column that are not null, in their order; a copy. */
export function presentOf(values: Float64Array): Float64Array<ArrayBuffer> {
  const present = new Float64Array(values.length);
  let length = 0;
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    present[length] = value;
    if (!Number.isNaN(value)) length++;
  }
  return present.subarray(0, length);
}

/** Text as numbers, while it is not known yet what texts there are. */
export interface TextCodes {
  codeOf(text: string): number;
  /** Changes the codes into positions among the texts in ascending order. @returns these texts */
  inOrder(values: Float64Array): string[];
}

export function createTextCodes(): TextCodes {
  const codes = new Map<string, number>();
  return {
    codeOf(text) {
      const code = codes.get(text) ?? codes.size;
      codes.set(text, code);
      return code;
    },
    inOrder(values) {
      const texts = [...codes.keys()].sort();
      const places = new Float64Array(texts.length);
      texts.forEach((text, place) => places[codes.get(text)!] = place);
      values.forEach((code, row) => {
        if (!Number.isNaN(code)) values[row] = places[code]!;
      });
      return texts;
    },
  };
}
