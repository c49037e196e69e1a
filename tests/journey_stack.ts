/** A whole platform for a test: on free ports, in a folder of its own, gone with the test. @module */
import { type Bus, connectBus } from "shared/bus/connection.ts";
import { makeTestFolder } from "shared/infra/test_folder.ts";
import { silentLogger } from "shared/log.ts";
import { type Stack, type StackOptions, startStack } from "../scripts/stack.ts";

export interface JourneyStack extends AsyncDisposable {
  readonly stack: Stack;
  /** The test's own connection. */
  readonly bus: Bus;
  /** The folder that everything is in. */
  readonly folder: string;
}

export async function startJourneyStack(
  options: Pick<StackOptions, "services" | "copies" | "env"> = {},
): Promise<JourneyStack> {
  await using started = new AsyncDisposableStack();
  const folder = started.use(await makeTestFolder());
  const stack = started.use(await startStack({ root: folder.path, ports: "free", ...options }));
  const bus = started.use(await connectBus({ url: stack.natsUrl, name: "journey", log: silentLogger }));
  const all = started.move();
  return { stack, bus, folder: folder.path, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
