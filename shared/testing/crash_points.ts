/**
 * The crash-point suite, which every consumer passes: it dies after its write, after its publish, and around its
 * acknowledgement; it comes back within and after the time in which the streams know message ids again; and in
 * the end nothing is lost and nothing doubled.
 *
 * @module
 */
import type { Bus } from "../bus/connection.ts";
import { type CrashPoint, type CrashStage, InjectedCrash } from "../bus/crash.ts";
import type { StreamRow } from "../contracts/streams.ts";
import { startTestBus, type TestBus } from "./bus.ts";
import { eventually } from "./poll.ts";
import { everythingIsAcknowledged } from "./streams.ts";

export interface CrashPointSuite<World extends AsyncDisposable> {
  /** What the tests are named after: the consumer. */
  name: string;
  /** What the service consumes: the suite waits until all of it is acknowledged. */
  input: { stream: StreamRow; durable: string };
  /** Where it dies. Default: at each stage of a consumer. */
  stages?: readonly CrashStage[];
  /** Makes what one scenario needs besides the bus, such as a database of its own. */
  setUp(bus: TestBus): Promise<World>;
  /** Publishes the input of the scenario. */
  publish(bus: TestBus, world: World): Promise<void>;
  /**
   * Starts the service under test on the bus given, a connection of its own. Its consumers take the crash point
   * from that bus; `crashPoint` is there for what is built without one. To be disposed of even when its
   * connection is gone.
   */
  start(bus: Bus, world: World, crashPoint: CrashPoint): Promise<AsyncDisposable>;
  /**
   * Throws unless the outcome is there exactly once. Count rows as they are, and events on the next stream by
   * their keys: after the deduplication window a batch is published a second time, and the unique key of the
   * next stage is the guard.
   */
  expectOnce(bus: TestBus, world: World): Promise<void> | void;
}

const STAGES: readonly CrashStage[] = ["written", "published", "acknowledged"];

/** Long enough for a restart, short enough to be waited for. */
const ACK_WAIT_MS = 500;
const WINDOWS = [
  { when: "within", duplicateWindowMs: 120_000 },
  { when: "after", duplicateWindowMs: 100 },
] as const;

/** Registers a test for each stage, within and after the deduplication window. */
export function crashPointSuite<World extends AsyncDisposable>(suite: CrashPointSuite<World>): void {
  for (const stage of suite.stages ?? STAGES) {
    for (const { when, duplicateWindowMs } of WINDOWS) {
      const name = `${suite.name} loses and doubles nothing when it dies once ${stage} ` +
        `and comes back ${when} the deduplication window`;
      Deno.test(name, async () => {
        await using bus = await startTestBus({ topology: { ackWaitMs: ACK_WAIT_MS, duplicateWindowMs } });
        await using world = await suite.setUp(bus);
        await suite.publish(bus, world);
        await dieAt(stage, suite, bus, world);
        const diedAt = performance.now();
        if (when === "after") await eventually(() => performance.now() - diedAt > 2 * duplicateWindowMs);
        await comeBack(suite, bus, world);
      });
    }
  }
}

/** Runs the service until it meets the stage; nothing that it does after that reaches the server. */
async function dieAt<World extends AsyncDisposable>(
  stage: CrashStage,
  suite: CrashPointSuite<World>,
  bus: TestBus,
  world: World,
): Promise<void> {
  let died = false;
  const crashPoint: CrashPoint = (reached) => {
    if (reached !== stage) return;
    died = true;
    throw new InjectedCrash(stage);
  };
  const connection = await bus.connect({ crashPoint });
  const service = await suite.start(connection, world, crashPoint);
  await eventually(() => died);
  await connection.nc.close();
  await service[Symbol.asyncDispose]();
}

async function comeBack<World extends AsyncDisposable>(
  suite: CrashPointSuite<World>,
  bus: TestBus,
  world: World,
): Promise<void> {
  await using connection = await bus.connect();
  await using _service = await suite.start(connection, world, () => {});
  await eventually(() => suite.expectOnce(bus, world));
  await eventually(() => everythingIsAcknowledged(bus, suite.input));
  // What came a second time has been handled by now, and must have changed nothing.
  await suite.expectOnce(bus, world);
}
