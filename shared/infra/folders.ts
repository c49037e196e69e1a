/**
 * Removing what may be gone already: a throwaway server's folder is also removed by the shell that watches
 * over the server, whichever comes first.
 *
 * @module
 */

/** Removes the file or folder with all that is in it; nothing happens when there is none. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The file's text; `undefined` when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
