/**
 * For the tests of this folder: a temporary folder, with programs in it that play real ones.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { temporaryBase } from "./account.ts";
import { removeIfThere } from "./folders.ts";

export interface TestFolder extends AsyncDisposable {
  readonly path: string;
  /** Writes an executable shell script at `name` under the folder, and returns its path. */
  program(name: string, script: string): Promise<string>;
}

/** A folder that every account can enter, as a program needs that PostgreSQL's account is to run. */
export async function makeTestFolder(): Promise<TestFolder> {
  const path = await Deno.makeTempDir({ dir: await temporaryBase(undefined), prefix: "microml-test-" });
  await Deno.chmod(path, 0o755);
  return {
    path,
    async program(name, script) {
      const file = join(path, name);
      await Deno.mkdir(dirname(file), { recursive: true });
      // The tools that a script uses come from the system, whatever PATH its caller was given.
      await Deno.writeTextFile(file, `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
      await Deno.chmod(file, 0o755);
      return file;
    },
    [Symbol.asyncDispose]: () => removeIfThere(path),
  };
}

/** The script of a nats-server that only tells its version. */
export const natsOfVersion = (version: string): string => `echo "nats-server: v${version}"`;

/** The environment of a machine that has these variables and no others. */
export const environment = (variables: Record<string, string>) => (name: string): string | undefined =>
  variables[name];
