import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { MIN_KEY_LENGTH } from "shared/privacy.ts";
import { secretsKey } from "./secrets_key.ts";

Deno.test("secretsKey() makes one key for all who ask, and keeps it for its owner alone", async () => {
  const root = await Deno.makeTempDir({ prefix: "microml-key-" });
  try {
    const keys = await Promise.all(Array.from({ length: 8 }, () => secretsKey(root)));
    assertEquals(new Set([...keys, await secretsKey(root)]).size, 1);
    assert(keys[0]!.length >= MIN_KEY_LENGTH);
    const { mode } = await Deno.stat(join(root, ".microml", "secrets.key"));
    assertEquals(mode! & 0o777, 0o600);
    assertEquals((await Array.fromAsync(Deno.readDir(join(root, ".microml")))).length, 1);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
