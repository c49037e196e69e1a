import { assertEquals } from "@std/assert";
import { createRuntimeCode } from "./runtime_code.ts";

Deno.test("createRuntimeCode() compiles once for as many threads as it is told, and then anew", async () => {
  const code = createRuntimeCode(2);
  const modules = await Promise.all([1, 2, 3, 4, 5].map(() => code.forThread()));
  assertEquals(modules.map((module) => modules.indexOf(module)), [0, 0, 2, 2, 4]);
  // Told apart by what V8 tells them apart by: their bytes.
  const names = modules.map((module) => WebAssembly.Module.customSections(module, "edition 1").length);
  assertEquals(names, [0, 0, 1, 1, 0]);
});
