/** The key of secrets on a developer's machine. @module */
import { dirname, join } from "node:path";

/**
 * The stack's `SECRETS_KEY`: made once, and kept beside the stack's data, for what is hashed with one key equals
 * nothing that is hashed with another.
 */
export async function secretsKey(root: string): Promise<string> {
  const file = join(root, ".microml", "secrets.key");
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${crypto.randomUUID()}`;
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  await Deno.writeTextFile(draft, bytes.toBase64({ alphabet: "base64url" }), { mode: 0o600 });
  try {
    // Whole or not at all, and by one of several launchers: a link does not replace a file.
    await Deno.link(draft, file);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(draft);
  }
  return await Deno.readTextFile(file);
}
