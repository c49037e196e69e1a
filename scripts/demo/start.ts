/** Stage 1: NATS, PostgreSQL and the services, in a folder of the demo's own. @module */
import { join } from "node:path";
import { removeIfThere } from "shared/infra/folders.ts";
import { isRunningInfra, readInfraState } from "shared/infra/infra_state.ts";
import { describePortHolder, isPortTaken } from "shared/infra/ports.ts";
import { isRunning } from "shared/infra/process_identity.ts";
import { SERVICES } from "../services.ts";
import { type Stack, startStack } from "../stack.ts";
import { DemoFailure, waitFor } from "./checks.ts";
import { grouped, type Screen } from "./screen.ts";

export interface DemoStackOptions {
  /** The folder with data and logs; emptied first. */
  root: string;
  /** `fixed`: those of the table of services where all of them are free, else any. */
  ports: "fixed" | "free";
}

export async function startDemoStack({ root, ports }: DemoStackOptions, screen: Screen): Promise<Stack> {
  await makeFresh(root);
  const taken = ports === "fixed" ? await takenPort() : undefined;
  if (taken !== undefined) screen.line(`   ${taken}: this demo uses free ports`);
  let migrations = 0;
  const stack = await startStack({
    root,
    ports: taken === undefined ? ports : "free",
    say(line) {
      if (line.startsWith("Migrated ")) migrations++;
      else screen.line(`   ${line}`);
    },
  });
  screen.line(
    `   NATS and PostgreSQL run; ${migrations} databases are migrated; ` +
      `${grouped(stack.services.size)} services are ready`,
  );
  screen.line(`   console ${stack.services.get("console")?.url}, logs in ${join(root, ".microml", "log")}`);
  return stack;
}

/** What an earlier demo left goes, unless it still runs. */
async function makeFresh(root: string): Promise<void> {
  const folder = join(root, ".microml");
  const state = await readInfraState(join(folder, "infra.json"));
  if (isRunningInfra(state)) {
    throw new DemoFailure(
      `another demo runs in ${root}, started by process ${state.launcher.pid}: stop it first, or choose ` +
        `another folder by --root`,
    );
  }
  const servers = [state?.nats, state?.postgres].filter((server) => server !== undefined);
  await waitFor(
    "the servers of an earlier demo to end",
    () => Promise.resolve(servers.some(isRunning) ? undefined : true),
  );
  const data = await linkTarget(join(folder, "postgres"));
  if (data !== undefined) await removeIfThere(data);
  await removeIfThere(folder);
}

/** PostgreSQL's data are elsewhere where its account can't enter the project's folder. */
async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await Deno.lstat(path)).isSymlink ? await Deno.readLink(path) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function takenPort(): Promise<string | undefined> {
  const ports = [Number(Deno.env.get("NATS_PORT") || 4222), ...SERVICES.map(({ httpPort }) => httpPort)];
  const port = ports.find(isPortTaken);
  return port === undefined ? undefined : `Port ${port} is taken by ${await describePortHolder(port)}`;
}
