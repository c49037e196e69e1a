import { assertEquals } from "@std/assert";
import { renderTable } from "./table.ts";

interface Row {
  name: string;
  count: number;
  note: string | null;
}

Deno.test("renderTable() sets numbers to the right, cuts what is long, and keeps a row on its line", () => {
  const rows: Row[] = [
    { name: "orders", count: 1234, note: "two\nlines" },
    { name: "visits", count: 7, note: null },
    { name: "x", count: 0, note: "a very long note" },
  ];
  assertEquals(
    renderTable(rows, [
      { title: "source", of: ({ name }) => name },
      { title: "n", of: ({ count }) => count },
      { title: "note", of: ({ note }) => note, width: 10 },
    ]),
    [
      "source      n  note",
      "orders  1,234  two lines",
      "visits      7",
      "x           0  a very ...",
    ].join("\n"),
  );
  assertEquals(renderTable<Row>([], [], { empty: "No orders" }), "No orders");
});
