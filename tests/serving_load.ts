/** Load on model-serving over connections that stay open, each of which knows the copy at its other end. @module */
import { Agent, request } from "node:http";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import type { predict } from "shared/contracts/model_serving.ts";

export type Answer = ReplyOf<typeof predict>;

/** A call that got no answer, or another than 200. */
export interface Failure {
  /** The copy that the connection led to. */
  instance: string;
  reason: string;
}

export interface Load {
  readonly answered: number;
  readonly failures: readonly Failure[];
  /** Copies that connections lead to, with their number. */
  connections(): Map<string, number>;
  /** Resolves when all calls are made. */
  readonly done: Promise<void>;
  /** Makes no more of them; resolves when the last one has its answer. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  url: string;
  model: string;
  connections?: number;
  /** Default: until it is stopped. */
  calls?: number;
  /** The body of a call by its number. */
  body: (call: number) => unknown;
  /** Told of each answer with its call's number; throws to say what is wrong with it. */
  check?: (answer: Answer, call: number) => void;
}

/** Calls `predict` one after the other on each connection. */
export function startLoad(options: LoadOptions): Load {
  const { url, model, connections = 32, calls = Infinity, body, check = () => {} } = options;
  let answered = 0;
  const failures: Failure[] = [];
  const led = new Map<number, string>();
  let next = 0;
  let stopped = false;

  async function connection(number: number): Promise<void> {
    let agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      for (let call = next++; call < calls && !stopped; call = next++) {
        let instance = led.get(number);
        try {
          if (instance === undefined) {
            const { text } = await send(agent, `${url}/readyz`);
            led.set(number, instance = JSON.parse(text).instance as string);
          }
          const { status, text, isNew } = await send(agent, `${url}/v1/models/${model}/predict`, body(call));
          // The other end had closed the connection between two calls: nobody knows yet where the new one leads to.
          if (isNew) led.delete(number);
          if (status !== 200) throw new Error(`${status} ${text}`);
          const answer: Answer = JSON.parse(text);
          check(answer, call);
          answered++;
        } catch (error) {
          failures.push({ instance: instance ?? "none", reason: String(error) });
          agent.destroy();
          agent = new Agent({ keepAlive: true, maxSockets: 1 });
          led.delete(number);
        }
      }
    } finally {
      agent.destroy();
    }
  }

  const done = Promise.all(Array.from({ length: connections }, (_, number) => connection(number)))
    .then(() => {});
  return {
    get answered() {
      return answered;
    },
    failures,
    connections() {
      const counts = new Map<string, number>();
      for (const instance of led.values()) counts.set(instance, (counts.get(instance) ?? 0) + 1);
      return counts;
    },
    done,
    stop() {
      stopped = true;
      return done;
    },
  };
}

/** One request on the agent's connection, which stays open. */
function send(
  agent: Agent,
  url: string,
  body?: unknown,
): Promise<{ status: number; text: string; isNew: boolean }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      agent,
      method: body === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json" },
    }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => text += part);
      response.on("end", () => resolve({ status: response.statusCode!, text, isNew: !sent.reusedSocket }));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
