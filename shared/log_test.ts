import { assertEquals } from "@std/assert";
import { createLogger } from "./log.ts";

function recorder() {
  const lines: Record<string, unknown>[] = [];
  return { lines, write: (line: string) => void lines.push(JSON.parse(line)) };
}

Deno.test("createLogger() writes one line of Elastic Common Schema an entry", () => {
  const destination = recorder();
  const log = createLogger("alert", { instance: "a1", destination });
  log.error({ err: new TypeError("boom"), source: "orders" }, "Cannot do it");
  const [line] = destination.lines;
  assertEquals(line?.["log.level"], "error");
  assertEquals(line?.["service.name"], "alert");
  assertEquals(line?.["service.node.name"], "a1");
  assertEquals(line?.["message"], "Cannot do it");
  assertEquals(line?.["source"], "orders");
  assertEquals((line?.["error"] as Record<string, unknown>)["type"], "TypeError");
});

Deno.test("createLogger() leaves out what is below its level", () => {
  const destination = recorder();
  const log = createLogger("alert", { level: "warn", destination });
  log.info("unimportant");
  log.warn("important");
  assertEquals(destination.lines.map((line) => line["message"]), ["important"]);
});
