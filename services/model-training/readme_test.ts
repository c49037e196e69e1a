import { assertStringIncludes } from "@std/assert";
import { ALGORITHM_PARAMETERS } from "shared/contracts/model_training.ts";

Deno.test("README.md names every algorithm with its parameters and their defaults", async () => {
  const text = (await Deno.readTextFile(new URL("README.md", import.meta.url))).replaceAll(/ +/g, " ");
  for (const [algorithm, schema] of Object.entries(ALGORITHM_PARAMETERS)) {
    const [, section = ""] = text.split(`### \`${algorithm}\``);
    const [own = ""] = section.split("###");
    const defaults: Record<string, unknown> = schema.parse({});
    for (const [name, field] of Object.entries(schema.shape)) {
      const value = defaults[name] === undefined ? "" : `\`${JSON.stringify(defaults[name])}\``;
      assertStringIncludes(own, `| \`${name}\` | ${value}`.trimEnd());
      assertStringIncludes(own, field.description ?? "a description");
    }
  }
});
