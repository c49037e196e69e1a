/** What a service in TypeScript costs at least: Hono, the body read by zod and sent back. Arguments: the port. @module */
import { Hono } from "hono";
import { z } from "zod";
import { NAMES } from "./forest.ts";

const schema = z.object({
  rows: z.array(z.object(Object.fromEntries(NAMES.map((name) => [name, z.number()])))),
});
const app = new Hono();
app.post("/echo", async (c) => c.json(schema.parse(await c.req.json())));
app.get("/ready", (c) => c.json({}));
Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => {} }, app.fetch);
