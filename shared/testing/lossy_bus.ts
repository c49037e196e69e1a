/** A bus whose consumers lose messages when a test says so, though the server has delivered them. @module */
import type { Consumer, ConsumerMessages } from "@nats-io/jetstream";
import type { Bus } from "../bus/connection.ts";

export interface LossyBus extends Bus {
  /** Loses the next so many messages that come. */
  lose(messages: number): void;
  /** Messages that were lost. */
  readonly lost: number;
}

/** The same connection, with consumers that can lose what they get. */
export function lossyBus(bus: Bus): LossyBus {
  const count = { left: 0, lost: 0 };
  const consumers = instead(bus.js.consumers, {
    get: async (...args: Parameters<typeof bus.js.consumers.get>) =>
      lossyConsumer(await bus.js.consumers.get(...args), count),
  });
  return {
    ...bus,
    js: instead(bus.js, { consumers }),
    lose: (messages) => void (count.left += messages),
    get lost() {
      return count.lost;
    },
  };
}

function lossyConsumer(consumer: Consumer, count: { left: number; lost: number }): Consumer {
  return instead(consumer, {
    async consume(...args: Parameters<Consumer["consume"]>) {
      const messages = await consumer.consume(...args) as ConsumerMessages;
      return instead(messages, {
        async *[Symbol.asyncIterator]() {
          for await (const message of messages) {
            if (count.left === 0) yield message;
            else {
              count.left--;
              count.lost++;
            }
          }
        },
      });
    },
  });
}

/** The object, some of whose properties are others. */
function instead<Target extends object>(target: Target, others: Record<PropertyKey, unknown>): Target {
  return new Proxy(target, {
    get(from, name) {
      if (name in others) return others[name];
      const value: unknown = Reflect.get(from, name, from);
      return typeof value === "function" ? value.bind(from) : value;
    },
  });
}
