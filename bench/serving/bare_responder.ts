/** Answers `bench.read` from a primary key. Arguments: the port that says when it is ready. @module */
import { connectBus } from "shared/bus/connection.ts";
import { connectDatabase } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";

const sql = connectDatabase({ url: Deno.env.get("DATABASE_URL")!, log: silentLogger, max: 4 });
const { nc } = await connectBus({
  url: Deno.env.get("NATS_URL")!,
  name: "bare responder",
  log: silentLogger,
});
nc.subscribe("bench.read", {
  callback: (_error, message) => {
    void sql`select j::text as j from bench_rows where key = ${message.string()}`
      .then(([row]) => message.respond(row!["j"]));
  },
});
await nc.flush();
Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => {} },
  () => Response.json({}),
);
