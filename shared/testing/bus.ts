/**
 * A bus of a test's own: a throwaway NATS server with all streams, which nobody else talks to, and which may be
 * stopped and started again.
 *
 * @module
 */
import { type Bus, type BusOptions, connectBus } from "../bus/connection.ts";
import { ensureTopology, type TopologyOptions } from "../bus/topology.ts";
import type { NatsServer } from "../infra/nats_process.ts";
import { startThrowawayNats } from "../infra/throwaway.ts";
import { type Logger, silentLogger } from "../log.ts";

export interface TestBusOptions {
  /** How streams and durables are made. */
  topology?: TopologyOptions;
  /** Default: a logger that writes nothing. */
  log?: Logger;
}

export interface TestBus extends Bus {
  /** The server's address, for services under test that connect by themselves. */
  readonly url: string;
  /** To stop and start it again. */
  readonly server: NatsServer;
  /** One more connection to the same server, as another process would have; close it before the test bus. */
  connect(options?: Partial<BusOptions>): Promise<Bus>;
}

/**
 * ```ts
 * await using bus = await startTestBus();
 * await publishAll(bus, messages);
 * ```
 */
export async function startTestBus(options: TestBusOptions = {}): Promise<TestBus> {
  const { topology = {}, log = silentLogger } = options;
  const server = await startThrowawayNats();
  const connect = (more: Partial<BusOptions> = {}) =>
    connectBus({ url: server.url, name: "test", log, topology, ...more });
  try {
    const bus = await connect();
    await ensureTopology(bus);
    return {
      ...bus,
      url: server.url,
      server,
      connect,
      async [Symbol.asyncDispose]() {
        try {
          await bus[Symbol.asyncDispose]();
        } finally {
          await server.stop();
        }
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
