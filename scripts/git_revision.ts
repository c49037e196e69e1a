/** The revision of the code that is run, for what keeps it with its results. @module */

/**
 * The commit that the folder has checked out, with `-dirty` behind it when files differ from it; empty where there is
 * no git or no repository, such as in an image: there it is set when the image is built.
 */
export async function gitRevision(folder: string): Promise<string> {
  const commit = await git(folder, "rev-parse", "HEAD");
  if (commit === undefined) return "";
  return await git(folder, "status", "--porcelain") === "" ? commit : `${commit}-dirty`;
}

/** What git prints; undefined when it fails or is not there. */
async function git(folder: string, ...args: string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      // Looking must not hold up who commits meanwhile.
      args: ["-C", folder, "--no-optional-locks", ...args],
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
