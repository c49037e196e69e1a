/** The service with a source to post to, for tests of its ways in. @module */
import { assertEquals } from "@std/assert";
import type { z } from "zod";
import * as contract from "shared/contracts/data_ingestion.ts";
import type { sourceBodySchema } from "shared/contracts/source.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService, type TestServiceOptions } from "shared/testing/service.ts";
import { createApp } from "../app.ts";
import { configSchema } from "../config.ts";

/** Orders with a quantity, which is a whole number. */
export const ORDERS: z.input<typeof sourceBodySchema> = {
  kind: "events",
  schema: { type: "object", required: ["quantity"], properties: { quantity: { type: "integer" } } },
};

/** Of what was read from text: the quantity in digits. */
export const TEXT_ORDERS: z.input<typeof sourceBodySchema> = {
  kind: "events",
  schema: {
    type: "object",
    required: ["quantity"],
    properties: { quantity: { type: "string", pattern: "^[0-9]+$" } },
  },
};

export async function startIntake(
  body: z.input<typeof sourceBodySchema> = ORDERS,
  options: TestServiceOptions = {},
): Promise<TestService> {
  const service = await startTestService("data-ingestion", configSchema, createApp, options);
  await service.call(contract.putSource, { project: "shop", name: "orders", body });
  return service;
}

export interface Answer {
  status: number;
  headers: Headers;
  // deno-lint-ignore no-explicit-any -- JSON of many shapes, each test knows its own
  body: any;
}

export async function send(service: TestService, path: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(`${service.url}${path}`, init);
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Posts events to the source "orders". */
export function post(
  service: TestService,
  body: BodyInit,
  headers: Record<string, string> = { "content-type": "application/json" },
): Promise<Answer> {
  return send(service, "/v1/events/orders", { method: "POST", body, headers });
}

/** Waits until the ledger has nothing pending and says this. */
export function settled(service: TestService, expected: Partial<contract.LedgerRow>): Promise<void> {
  return eventually(async () => {
    const { sources: [row] } = await service.call(contract.ledger, { source: "orders" });
    for (const [name, value] of Object.entries({ pending: 0, ...expected })) {
      assertEquals(row?.[name as keyof contract.LedgerRow], value, name);
    }
  });
}

export async function storedIds({ db }: TestService): Promise<string[]> {
  const rows = await db<{ id: string }[]>`select id from events order by sequence, position, id`;
  return rows.map(({ id }) => id);
}

/** Rejected records of a file by their lines, each with its reasons. */
export async function rejectedLines(service: TestService): Promise<[line: number | undefined, string][]> {
  const { rejected } = await service.call(contract.rejected, { source: "orders", limit: 1_000 });
  return rejected
    .map(({ file, reasons }): [number | undefined, string] => [
      file?.line,
      reasons.map(({ path, message }) => `${path} ${message}`.trim()).join("; "),
    ])
    .toSorted(([a = 0], [b = 0]) => a - b);
}

/** A stream of the text in pieces, as a network would cut it. */
export function piecesOf(text: string, pieceBytes = 65_536): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    pieces.push(bytes.slice(start, start + pieceBytes));
  }
  return ReadableStream.from(pieces);
}
