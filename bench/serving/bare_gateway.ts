/** A Hono route that asks `bench.read` over NATS and hands the answer on as it is. Arguments: the port. @module */
import { Hono } from "hono";
import { connectBus } from "shared/bus/connection.ts";
import { silentLogger } from "shared/log.ts";

const { nc } = await connectBus({ url: Deno.env.get("NATS_URL")!, name: "bare gateway", log: silentLogger });
const app = new Hono();
app.post("/read", async (c) => {
  const { key } = await c.req.json<{ key: string }>();
  const reply = await nc.request("bench.read", key, { timeout: 5_000 });
  return c.body(reply.string(), 200, { "content-type": "application/json" });
});
app.get("/ready", (c) => c.json({}));
Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => {} }, app.fetch);
