import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { enumValues, type InferredSource, inferSource } from "./infer.ts";
import { learnFile } from "./file_facts.ts";
import { detectReadableFile } from "./file_records.ts";
import { sourceNameOf } from "./names.ts";

/** What is inferred from a file of this name and content. */
async function infer(name: string, text: string): Promise<InferredSource> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, name);
    await Deno.writeTextFile(path, text);
    const file = await detectReadableFile(path);
    return inferSource(await learnFile(file), { name: sourceNameOf(name), options: file.options });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A CSV of one column. The values hold no semicolon. */
const column = (values: readonly string[], name = "value") =>
  `row;${name}\n${values.map((value, index) => `${index}x;${value}`).join("\n")}\n`;

const repeated = (times: number, ...values: string[]) =>
  Array.from({ length: times }, (_, index) => values[index % values.length]!);

Deno.test("inferSource() finds the type that fits all values of a column", async () => {
  const cases: { values: string[]; type: string; step?: string }[] = [
    { values: ["1", "-20", "17850.0"], type: "integer", step: "cast" },
    { values: ["1", "2.5", "1e-3"], type: "number", step: "cast" },
    { values: ["1.234,50", "12,5", "7"], type: "number", step: "parse_number" },
    { values: ["1,234.50", "12.5", "7"], type: "number", step: "parse_number" },
    { values: ["yes", "no", "YES"], type: "boolean", step: "cast" },
    { values: ["2010-12-01 08:26:00", "2011-01-01"], type: "instant", step: "cast" },
    { values: ["2019-10-01 00:00:00 UTC"], type: "instant", step: "cast" },
    { values: ["2019-10-01T00:00:00.000Z"], type: "instant" },
    { values: ["31/01/2024 8:05", "01/02/2024 10:15"], type: "instant", step: "parse_time" },
    { values: ["1/31/2024 8:05 PM"], type: "instant", step: "parse_time" },
    { values: ["31 Jan 2024"], type: "instant", step: "parse_time" },
    { values: ["01234", "99999"], type: "text" },
    { values: ["2053013552326770905", "2053013559792632471"], type: "text" },
    { values: ["536365", "C536379"], type: "text" },
    { values: ["30 Feb 2024"], type: "text" },
    { values: ["", ""], type: "empty" },
  ];
  for (const { values, type, step } of cases) {
    const { fields } = await infer("a.csv", column(values));
    const { type: found, fit } = fields[1]!;
    assertEquals(
      [found, fit?.unchanged === false ? fit.reading.step([]).step : undefined],
      [type, step],
      values[0],
    );
  }
});

Deno.test("inferSource() takes words for nothing as null where the others are more than text", async () => {
  const { fields: [, numbers] } = await infer("a.csv", column(["1", "NA", "", "n/a", "4"]));
  assertEquals([numbers?.type, numbers?.nulls, [...numbers?.facts.nullWords.keys() ?? []]], [
    "integer",
    3,
    ["NA", "n/a"],
  ]);
  const { fields: [, texts] } = await infer("a.csv", column(["a", "NA"]));
  assertEquals([texts?.type, texts?.nulls], ["text", 0]);
});

Deno.test("inferSource() says that a date leaves open what is the day", async () => {
  const open = await infer("a.csv", column(["01/02/2024", "03/04/2024"]));
  const plain = await infer("a.csv", column(["01/02/2024", "13/04/2024"]));
  assertEquals([open.fields[1]?.isOrderOpen, plain.fields[1]?.isOrderOpen], [true, false]);
});

Deno.test("inferSource() takes a field for the event time only when every record has it, and it has passed", async () => {
  const cases = [
    { name: "seen_at", values: ["2020-01-01", "2020-01-02"], expected: "seen_at" },
    { name: "seen_at", values: ["2020-01-01", ""], expected: undefined },
    { name: "seen_at", values: ["2020-01-01", "9020-01-02"], expected: undefined },
    { name: "seen_at", values: ["31/01/2020", "30/01/2020"], expected: "seen_at" },
    { name: "seen_at", values: ["01/02/2020", "02/01/2020"], expected: undefined },
  ];
  for (const { name, values, expected } of cases) {
    assertEquals((await infer("a.csv", column(values, name))).time?.name, expected, values[1]);
  }
  const two = await infer("a.csv", "birthday,created_at\n2000-01-01,2020-01-01\n2001-01-01,2020-01-02\n");
  assertEquals(two.time?.name, "created_at");
});

Deno.test("inferSource() takes a unique field for an id only when it is called so, among enough records", async () => {
  const numbers = Array.from({ length: 150 }, (_, index) => String(index));
  const cases = [
    { name: "order_id", values: numbers, expected: "order_id" },
    { name: "OrderNo", values: numbers, expected: "OrderNo" },
    { name: "amount", values: numbers, expected: undefined },
    { name: "order_id", values: [...numbers.slice(1), "7"], expected: undefined },
    { name: "order_id", values: [...numbers.slice(1), ""], expected: undefined },
    { name: "order_id", values: numbers.slice(0, 50), expected: undefined },
    { name: "visit", values: numbers.map(() => crypto.randomUUID()), expected: "visit" },
  ];
  for (const { name, values, expected } of cases) {
    assertEquals((await infer("a.csv", column(values, name))).id[0]?.name, expected, name);
  }
});

Deno.test("enumValues() lists few values that come often", async () => {
  const often = await infer("a.csv", column(repeated(60, "view", "cart", "buy")));
  assertEquals(enumValues(often.fields[1]!), ["buy", "cart", "view"]);
  const rare = await infer("a.csv", column(["view", "cart", "buy"]));
  assertEquals(enumValues(rare.fields[1]!), undefined);
});

Deno.test("inferSource() knows JSON's own types, nested ones and milliseconds among them", async () => {
  const { fields, isText, time } = await infer(
    "a.ndjson",
    [
      '{"at":1569888000000,"n":1,"f":1.5,"ok":true,"user":{"id":7},"note":null}',
      '{"at":1569888001000,"n":2,"f":2,"ok":false,"user":null}',
    ].join("\n"),
  );
  assertEquals(isText, false);
  assertEquals(time?.name, "at");
  assertEquals(
    fields.map(({ name, type, nulls, isAlwaysThere }) => [name, type, nulls, isAlwaysThere]),
    [
      ["at", "instant", 0, true],
      ["n", "integer", 0, true],
      ["f", "number", 0, true],
      ["ok", "boolean", 0, true],
      ["user", "nested", 1, true],
      ["note", "empty", 2, false],
    ],
  );
});

Deno.test("inferSource() finds the format of a log, and leaves one it does not know to the user", async () => {
  const known = await infer(
    "a.log",
    "level=info took=7\nlevel=warn took=9\nbroken\nlevel=info took=1\nlevel=info took=1\n",
  );
  assertEquals([known.kind, known.format, known.records], ["logs", "logfmt", 4]);
  assertEquals(known.fields.map(({ name, type }) => [name, type]), [["level", "text"], ["took", "integer"]]);
  const unknown = await infer("a.log", "once upon a time\nthere was\n");
  assertEquals([unknown.format, unknown.records], [{ pattern: "(?P<message>.*)" }, 2]);
});

const table = (header: string, row: (n: number) => string, rows = 150) =>
  `${header}\n${Array.from({ length: rows }, (_, n) => row(n)).join("\n")}\n`;
const namesOf = ({ kind, id, time }: InferredSource) => [kind, id.map(({ name }) => name), time?.name];

Deno.test("inferSource() names records by several fields together where no one does", async () => {
  const lines = table("OrderNo,LineNo,amount", (n) => `A${n >> 1},${n % 2},${n}`);
  assertEquals(namesOf(await infer("lines.csv", lines)), ["events", ["OrderNo", "LineNo"], undefined]);
  const repeated = table("OrderNo,LineNo,amount", (n) => `A${n >> 2},${n % 2},${n}`);
  assertEquals(namesOf(await infer("lines.csv", repeated)), ["events", [], undefined]);
  const thrice = table("shop_id,order_id,line_no", (n) => `${n % 2},${(n >> 1) % 25},${Math.floor(n / 50)}`);
  assertEquals(namesOf(await infer("lines.csv", thrice)), [
    "events",
    ["shop_id", "order_id", "line_no"],
    undefined,
  ]);
});

Deno.test("inferSource() takes states of things for entities, and events of things for events", async () => {
  const once = table("product_id,price", (n) => `p${n},${n}`);
  assertEquals(namesOf(await infer("products.csv", once)), ["entities", ["product_id"], undefined]);
  assertEquals(namesOf(await infer("sales.csv", once)), ["events", ["product_id"], undefined]);
  const day = (n: number) => `2024-01-${String(n % 28 + 1).padStart(2, "0")}`;
  const states = (time: string) => table(`sku,${time},price`, (n) => `p${Math.floor(n / 28)},${day(n)},${n}`);
  assertEquals(namesOf(await infer("stock.csv", states("updated_at"))), ["entities", ["sku"], "updated_at"]);
  assertEquals(namesOf(await infer("stock.csv", states("sold_at"))), ["events", [], "sold_at"]);
});

Deno.test("inferSource() sees what belongs to persons by its form, and not in other numbers and texts", async () => {
  const card = (n: number) => {
    const digits = `4${String(n).padStart(14, "0")}`;
    const sum = [...digits].reduce((all, digit, index) => {
      const value = Number(digit) * (index % 2 === 0 ? 2 : 1);
      return all + (value > 9 ? value - 9 : value);
    }, 0);
    return `${digits}${(10 - sum % 10) % 10}`;
  };
  const { fields } = await infer(
    "people.csv",
    table(
      "mail;call;phone;card;number;at_note;amount",
      (n) =>
        `u${n}@example.org;+49 30 ${1_000_000 + n};030/${100_000 + n};${card(n)};${
          10 ** 15 + n
        };a@b ${n};${n}`,
    ),
  );
  assertEquals(fields.map(({ name, personal }) => [name, personal]), [
    ["mail", "e-mail address"],
    ["call", "phone number"],
    ["phone", "phone number"],
    ["card", "card number"],
    ["number", undefined],
    ["at_note", undefined],
    ["amount", undefined],
  ]);
  assertEquals(fields.map(({ type }) => type).slice(0, 5), ["text", "text", "text", "text", "integer"]);
});
