import { assertEquals } from "@std/assert";
import { cleanNames, snakeCase, sourceNameOf } from "./names.ts";

Deno.test("snakeCase() makes names of what people write above columns", () => {
  const cases = {
    InvoiceNo: "invoice_no",
    CustomerID: "customer_id",
    HTTPStatus: "http_status",
    "income >50K": "income_50k",
    "@timestamp": "timestamp",
    "Gr\u00f6\u00dfe (m\u00b2)": "grosse_m2",
    user_id: "user_id",
    "\u540d\u524d": "",
  };
  for (const [name, expected] of Object.entries(cases)) assertEquals(snakeCase(name), expected, name);
});

Deno.test("cleanNames() gives each field a name of its own that an expression can use", () => {
  assertEquals(
    [...cleanNames(["User ID", "user_id", "2nd", "\u540d\u524d", "Constructor"]).values()],
    ["user_id", "user_id_2", "field_2nd", "field_4", "field_constructor"],
  );
});

Deno.test("sourceNameOf() makes a source's name of a file's", () => {
  const cases = {
    "2019-Oct-first17k.csv.gz": "data_2019_oct_first17k",
    "apache_access.log.gz": "apache_access",
    "Orders (new).parquet": "orders_new",
    "\u540d.csv": "data",
  };
  for (const [file, expected] of Object.entries(cases)) assertEquals(sourceNameOf(file), expected, file);
  assertEquals(sourceNameOf(`${"long".repeat(40)}.csv`).length, 63);
});
