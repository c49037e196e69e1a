import { assert, assertEquals, assertThrows } from "@std/assert";
import { featureServiceBodySchema, viewBodySchema } from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { checkFeatureService, checkView } from "./check_definitions.ts";

const view = viewBodySchema.parse({
  entity: "customer",
  source: "invoice_lines",
  features: {
    orders: { aggregate: "count", window: "P30D", where: "!e.cancelled" },
    spend: { aggregate: "sum", field: "amount", window: "P30D" },
    mean: { expression: "f.spend / f.orders" },
  },
});

Deno.test("checkView() accepts a view whose entity exists and whose expressions compile", () => {
  checkView("orders", view, { hasEntity: true, views: new Map() });
});

Deno.test("checkView() tells every mistake", () => {
  const wrong = viewBodySchema.parse({
    ...view,
    hop: "PT0S",
    ttl: "PT0S",
    features: {
      ...view.features,
      none: { aggregate: "count", window: "P0D" },
      open: { aggregate: "count", window: null, where: "e.(" },
      text: { aggregate: "count", window: null, where: '"yes"' },
      ghost: { expression: "f.ghosts + 1" },
      self: { expression: "f.self + 1" },
    },
  });
  const error = assertThrows(
    () => checkView("orders", wrong, { hasEntity: false, views: new Map() }),
    AppError,
  );
  assertEquals(error.code, "invalid");
  assert(error.message.startsWith('Cannot define the view "orders": /entity is "customer"'), error.message);
  assertEquals(error.reasons.map(({ path }) => path), [
    "/entity",
    "/hop",
    "/ttl",
    "/features/none/window",
    "/features/open",
    "/features/text",
    "/features/ghost",
    "/features/self",
  ]);
});

Deno.test("checkView() refuses a window that is shorter than the hop", () => {
  const hourly = viewBodySchema.parse({
    ...view,
    hop: "PT1H",
    features: {
      minute: { aggregate: "count", window: "PT1M" },
      hour: { aggregate: "count", window: "PT1H" },
    },
  });
  const error = assertThrows(
    () => checkView("orders", hourly, { hasEntity: true, views: new Map() }),
    AppError,
  );
  assertEquals(error.reasons, [
    { path: "/features/minute/window", message: "is PT1M, shorter than the hop (PT1H)" },
  ]);
});

Deno.test("checkFeatureService() refuses features that are not there, or twice there", () => {
  const body = featureServiceBodySchema.parse({
    features: ["orders.spend", "orders.profit", "visits.count", "orders.spend"],
  });
  const error = assertThrows(() => checkFeatureService("churn", body, new Map([["orders", view]])), AppError);
  assertEquals(error.reasons, [
    { path: "/features/1", message: 'is "orders.profit": the view has orders, spend, mean' },
    { path: "/features/2", message: 'is "visits.count": there is no view "visits"' },
    { path: "/features/3", message: 'names "orders.spend" again' },
  ]);
  const mean = featureServiceBodySchema.parse({ features: ["orders.mean"] });
  checkFeatureService("churn", mean, new Map([["orders", view]]));
});

Deno.test("checkView() takes features of other views of the same entity, and request values that are declared", () => {
  const visits = { ...view, source: "visits", features: { count: view.features["orders"]! } };
  const body = viewBodySchema.parse({
    ...view,
    request: { basket: "number" },
    features: {
      ...view.features,
      share: { expression: 'f.orders / f["visits.count"]' },
      large: { expression: "r.basket / f.mean" },
      unknown: { expression: "r.weather" },
      missing: { expression: 'f["visits.rain"]' },
      nowhere: { expression: 'f["weather.rain"]' },
    },
  });
  const check = (visitor: string) =>
    assertThrows(
      () =>
        checkView("orders", body, {
          hasEntity: true,
          views: new Map([["visits", { ...visits, entity: visitor }]]),
        }),
      AppError,
    ).reasons.map(({ path, message }) => `${path} ${message}`);
  const wrong = [
    '/features/unknown reads r.weather, which "request" does not declare',
    '/features/missing reads visits.rain, which is not there: the view "visits" has count',
    '/features/nowhere reads a feature of the view "weather", which is not there',
  ];
  assertEquals(check("customer"), wrong);
  assertEquals(check("visitor"), [
    '/features/share reads visits.count of the entity "visitor", and is itself of "customer"',
    ...wrong,
  ]);
});
