import { assert, assertEquals } from "@std/assert";
import * as contract from "shared/contracts/data_ingestion.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { storedMessages } from "shared/testing/streams.ts";
import { ORDERS, post, send, settled, startIntake } from "../testing/intake_service.ts";

const SECRET = "4111-1111-1111-1111";

Deno.test("what comes by HTTP for a source with secrets holds none in EVENTS", async () => {
  await using service = await startIntake({
    ...ORDERS,
    schema: {
      type: "object",
      required: ["card"],
      properties: { card: { type: "string", minLength: 19, maxLength: 19 } },
    },
    secrets: { card: "hash" },
  }, { env: { SECRETS_KEY: "a key that is long enough to be one" } });
  const record = { card: SECRET };
  const event = { specversion: "1.0", id: "e-1", source: "/till", type: "order", data: record };
  const json = (body: unknown, type = "application/json") =>
    post(service, JSON.stringify(body), { "content-type": type });
  const answers = [
    await json({ ...record, n: 1 }),
    await json([{ ...record, n: 2 }, { ...record, n: 3 }]),
    await json(event, "application/cloudevents+json"),
    await post(service, `{"card":"${SECRET}","n":5}\n{"card":"${SECRET}`, {
      "content-type": "application/x-ndjson",
    }),
    await post(service, `n,card\n7,${SECRET}\n8,"${SECRET}\n`, { "content-type": "text/csv" }),
  ];
  assertEquals(answers.map(({ status }) => status), [202, 202, 202, 202, 202]);
  const { body: { upload } } = await send(service, "/v1/uploads", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ source: "orders", name: "o", options: { format: "csv" } }),
  });
  await send(service, `/v1/uploads/${upload}`, {
    method: "PATCH",
    body: `n,card\n9,${SECRET}\n`,
    headers: { "upload-offset": "0", "upload-complete": "?1" },
  });
  await settled(service, { accepted: 9, stored: 7, rejected: 2 });

  const messages = await storedMessages(service.bus, STREAM.events.name);
  assertEquals(messages.length, 6);
  for (const message of messages) assert(!message.string().includes("4111"), message.string());
  const cards = await service.db<{ card: string }[]>`select distinct data ->> 'card' as card from events`;
  assertEquals(cards.length, 1);
  const { rejected } = await service.call(contract.rejected, {});
  assertEquals(rejected.map(({ sealed }) => sealed), [true, true]);
  assert(!JSON.stringify(rejected).includes("4111"));
});
