/** Answers `bench.read` from a primary key. Arguments: the port that says when it is ready. @module */
import { connect } from "nats";
import postgres from "postgres";

const sql = postgres(Deno.env.get("DATABASE_URL")!, { max: 4 });
const nc = await connect({ servers: Deno.env.get("NATS_URL")!.replace(/^nats:\/\/(?:[^@]*@)?/, "") });
nc.subscribe("bench.read", {
  callback: (_error, message) => {
    void sql`select j::text as j from bench_rows where key = ${message.string()}`
      .then(([row]) => message.respond(row!["j"]));
  },
});
await sql`select 1`;
await nc.flush();
Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => {} },
  () => Response.json({}),
);
