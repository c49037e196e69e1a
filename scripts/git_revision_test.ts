import { assertEquals, assertMatch } from "@std/assert";
import { gitRevision } from "./git_revision.ts";

async function git(folder: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("git", {
    args: ["-C", folder, "-c", "user.name=ada", "-c", "user.email=ada@example.org", ...args],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("gitRevision() is the commit of a folder, and says when files differ from it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "microml-git-" });
  try {
    assertEquals(await gitRevision(folder), "", "no repository");
    await git(folder, "init");
    assertEquals(await gitRevision(folder), "", "no commit yet");
    await git(folder, "commit", "--allow-empty", "--message", "Begin");
    const commit = await gitRevision(folder);
    assertMatch(commit, /^[0-9a-f]{40}$/);
    assertEquals(commit, await git(folder, "rev-parse", "HEAD"));
    await Deno.writeTextFile(`${folder}/model.ts`, "");
    assertEquals(await gitRevision(folder), `${commit}-dirty`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
