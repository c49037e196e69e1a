import { assertEquals, assertThrows } from "@std/assert";
import { AppError, busy } from "shared/errors.ts";
import { Capacity } from "./capacity.ts";

Deno.test("Capacity.take() refuses what does not fit, until there is room again", () => {
  const capacity = new Capacity(10);
  const take = (amount: number) => capacity.take(amount, () => busy("Cannot take more"));
  const first = take(6);
  {
    using _second = take(4);
    assertEquals(assertThrows(() => take(1), AppError).code, "busy");
  }
  using _third = take(4);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  using _fourth = take(6);
  assertThrows(() => take(1), AppError);
});

Deno.test("Capacity.take() lets one through that is larger than all, where nothing else is", () => {
  const capacity = new Capacity(10);
  const refusal = () => busy("Cannot take more");
  {
    using _large = capacity.take(11, refusal);
    assertThrows(() => capacity.take(1, refusal), AppError);
  }
  using _small = capacity.take(1, refusal);
  assertThrows(() => capacity.take(11, refusal), AppError);
});
