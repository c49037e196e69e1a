import { assertEquals } from "@std/assert";
import { createScreen } from "./screen.ts";

function capture(columns?: number) {
  let text = "";
  const screen = createScreen({
    write: (more) => text += more,
    ...(columns === undefined ? {} : { columns }),
  });
  return { screen, written: () => text };
}

Deno.test("screen.table() aligns its columns, numbers to the right and grouped", () => {
  const { screen, written } = capture();
  screen.table(["source", "stored", "note"], [["user_events", 57502, "ok"], ["logs", 7, ""]]);
  assertEquals(
    written(),
    "   source       stored  note\n   user_events  57,502  ok\n   logs              7\n",
  );
});

Deno.test("screen.progress() is rewritten in place on a terminal, and gone when a line follows", () => {
  const { screen, written } = capture(20);
  screen.progress("published 1,000 of 2,000");
  screen.progress("b");
  screen.line("done");
  screen.line("next");
  assertEquals(written(), "\r\x1b[2K   published 1,000 \r\x1b[2K   b ...\r\x1b[2Kdone\nnext\n");
});

Deno.test("screen.progress() says nothing elsewhere when a line was written just now", () => {
  const { screen, written } = capture();
  screen.line("begun");
  screen.progress("1 of 2");
  assertEquals(written(), "begun\n");
});
