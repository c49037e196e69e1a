import { assertEquals } from "@std/assert";
import { breakerSchema } from "shared/contracts/model_serving.ts";
import { createCircuitBreaker } from "./circuit_breaker.ts";

const rules = breakerSchema.parse({
  window: "PT10S",
  minCalls: 10,
  errorRate: 0.5,
  slowerThan: "PT0.1S",
  slowRate: 0.8,
  pause: "PT5S",
  probes: 2,
});
const good = { failed: false, ms: 10 };
const bad = { failed: true, ms: 10 };
const slow = { failed: false, ms: 200 };

function breakerAfter(outcomes: readonly { failed: boolean; ms: number }[], now = 0) {
  const changes: string[] = [];
  const breaker = createCircuitBreaker(rules, (state) => changes.push(state));
  for (const outcome of outcomes) {
    if (breaker.allow(now)) breaker.record(outcome, now);
  }
  return { breaker, changes };
}

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

Deno.test("a circuit breaker opens at the error rate, and not before enough calls", () => {
  assertEquals(breakerAfter(times(9, bad)).breaker.state, "closed");
  assertEquals(breakerAfter([...times(6, good), ...times(5, bad)]).breaker.state, "closed");
  assertEquals(breakerAfter([...times(5, good), ...times(5, bad)]).breaker.state, "open");
});

Deno.test("a circuit breaker opens at the rate of slow calls", () => {
  assertEquals(breakerAfter([...times(3, good), ...times(9, slow)]).breaker.state, "closed");
  assertEquals(breakerAfter([...times(2, good), ...times(8, slow)]).breaker.state, "open");
});

Deno.test("a circuit breaker forgets what is older than its window", () => {
  const { breaker } = breakerAfter(times(9, bad), 0);
  breaker.record(good, 10_500);
  breaker.record(bad, 10_500);
  assertEquals(breaker.state, "closed");
});

Deno.test("a circuit breaker lets a few probes through after the pause, and closes when all of them do well", () => {
  const { breaker, changes } = breakerAfter(times(10, bad));
  assertEquals(breaker.allow(4_999), false);
  assertEquals([breaker.allow(5_000), breaker.allow(5_000), breaker.allow(5_000)], [true, true, false]);
  breaker.record(good, 5_010);
  assertEquals(breaker.state, "half_open");
  breaker.record(good, 5_010);
  assertEquals(changes, ["open", "half_open", "closed"]);
  // What was counted before it opened does not count again.
  breaker.record(bad, 5_020);
  assertEquals(breaker.state, "closed");
});

Deno.test("a circuit breaker opens anew when a probe fails, and a probe that never came is another's turn", () => {
  const { breaker } = breakerAfter(times(10, bad));
  assertEquals([breaker.allow(5_000), breaker.allow(5_000)], [true, true]);
  breaker.cancel();
  assertEquals([breaker.allow(5_001), breaker.allow(5_001)], [true, false]);
  breaker.record(bad, 5_010);
  assertEquals([breaker.state, breaker.allow(10_009), breaker.allow(10_010)], ["open", false, true]);
});
