import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { checkFile, checkImports, importsOf } from "./check_imports.ts";

const wrong = (path: string, ...specifiers: string[]) =>
  checkFile(path, specifiers.map((specifier) => `import { x } from "${specifier}";`).join("\n"))
    .map((line) => line.slice(line.lastIndexOf("(") + 1, -1));

Deno.test("importsOf() finds every way to import, with its line, and no comment", () => {
  const source = [
    '/* import { no } from "./comment.ts"; */',
    '// import "./comment.ts";',
    'import "./side_effect.ts";',
    "import {",
    "  a,",
    '} from "shared/a.ts";',
    'export * from "./b.ts";',
    'const text = "x"; const lazy = await import("./lazy.ts");',
  ].join("\n");
  assertEquals(importsOf(source), [
    { specifier: "./side_effect.ts", line: 3 },
    { specifier: "shared/a.ts", line: 6 },
    { specifier: "./b.ts", line: 7 },
    { specifier: "./lazy.ts", line: 8 },
  ]);
});

Deno.test("checkFile() keeps a service from another one and from scripts", () => {
  assertEquals(
    wrong(
      "services/alert/app.ts",
      "../console/domain.ts",
      "../../scripts/up.ts",
      "../../scripts/services.ts",
    ),
    ["../console/domain.ts", "../../scripts/up.ts"],
  );
});

Deno.test("checkFile() keeps shared from services, and tests' doors from what is no test", () => {
  assertEquals(
    wrong("shared/bus/x.ts", "../../services/alert/app.ts", "../testing/stack.ts", "../errors.ts"),
    [
      "../../services/alert/app.ts",
      "../testing/stack.ts",
    ],
  );
  assertEquals(wrong("shared/bus/x_test.ts", "../testing/stack.ts"), []);
});

Deno.test("checkFile() lets domain import pure modules only", () => {
  assertEquals(
    wrong(
      "services/alert/domain/rules.ts",
      "./other.ts",
      "shared/contracts/alert.ts",
      "shared/errors.ts",
      "shared/onnx/writer.ts",
      "re2js",
      "shared/onnx/runtime.ts",
      "shared/project/apply.ts",
      "shared/db/connection.ts",
      "../repository.ts",
      "postgres",
      "node:fs/promises",
    ),
    [
      "shared/onnx/runtime.ts",
      "shared/project/apply.ts",
      "shared/db/connection.ts",
      "../repository.ts",
      "postgres",
      "node:fs/promises",
    ],
  );
});

Deno.test("checkFile() keeps the translating rooms apart", () => {
  for (const room of ["repository", "endpoints", "messages", "http"]) {
    const others = ["repository", "endpoints", "messages", "http"].filter((other) => other !== room)
      .map((other) => `./${other}.ts`);
    assertEquals(wrong(`services/alert/${room}.ts`, "./domain.ts", ...others, "./app.ts"), [
      ...others,
      "./app.ts",
    ]);
  }
});

Deno.test("checkFile() lets a use case import domain and repository, and main only what starts it", () => {
  assertEquals(wrong("services/alert/raise_alert.ts", "./domain.ts", "./repository.ts", "./http.ts"), [
    "./http.ts",
  ]);
  assertEquals(
    wrong("services/alert/main.ts", "./app.ts", "./config.ts", "shared/service.ts", "./repository.ts", "zod"),
    ["./repository.ts", "zod"],
  );
});

Deno.test("checkImports() finds no breach in this repository", async () => {
  assertEquals(await checkImports(join(import.meta.dirname!, "..")), []);
});
