import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";

/** Each assertion with calls that must pass, and calls that must fail. The checks stand on plain `throw`. */
const CASES: Record<string, { pass: (() => unknown)[]; fail: (() => unknown)[] }> = {
  assert: { pass: [() => assert(1)], fail: [() => assert(0), () => assert(undefined)] },
  assertFalse: { pass: [() => assertFalse("")], fail: [() => assertFalse("x")] },
  assertEquals: {
    pass: [() => assertEquals({ a: [1, { b: NaN }] }, { a: [1, { b: NaN }] })],
    fail: [
      () => assertEquals<unknown>({ a: 1 }, { a: "1" }),
      () => assertEquals<unknown>({}, { a: undefined }),
      () => assertEquals([1, 2], [2, 1]),
    ],
  },
  assertNotEquals: { pass: [() => assertNotEquals([1], [2])], fail: [() => assertNotEquals([1], [1])] },
  assertStrictEquals: {
    pass: [() => assertStrictEquals("a", "a")],
    fail: [() => assertStrictEquals([], [])],
  },
  assertExists: {
    pass: [() => assertExists(0)],
    fail: [() => assertExists(null), () => assertExists(undefined)],
  },
  assertAlmostEquals: {
    pass: [
      () => assertAlmostEquals(0.1 + 0.2, 0.3),
      () => assertAlmostEquals(10, 11, 1),
      () => assertAlmostEquals(Infinity, Infinity),
    ],
    fail: [
      () => assertAlmostEquals(1, 1.001),
      () => assertAlmostEquals(NaN, 1, 5),
      () => assertAlmostEquals(10, 11.1, 1),
    ],
  },
  assertMatch: { pass: [() => assertMatch("abc", /b/)], fail: [() => assertMatch("abc", /d/)] },
  assertStringIncludes: {
    pass: [() => assertStringIncludes("abc", "bc")],
    fail: [() => assertStringIncludes("abc", "cb")],
  },
  assertArrayIncludes: {
    pass: [() => assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }])],
    fail: [() => assertArrayIncludes([{ a: 1 }], [{ a: 2 }])],
  },
  assertObjectMatch: {
    pass: [
      () =>
        assertObjectMatch({ a: 1, b: { c: 2, d: 3 }, e: [{ f: 4, g: 5 }] }, { b: { c: 2 }, e: [{ f: 4 }] }),
      () => assertObjectMatch({ at: new Date(0), x: 1 }, { at: new Date(0) }),
    ],
    fail: [
      () => assertObjectMatch({ a: 1 }, { a: 2 }),
      () => assertObjectMatch({ a: 1 }, { b: undefined }),
      () => assertObjectMatch({ e: [{ f: 4 }, { f: 5 }] }, { e: [{ f: 4 }] }),
      () => assertObjectMatch({ at: new Date(0) }, { at: new Date(1) }),
      () => assertObjectMatch({ a: null }, { a: { b: 1 } }),
    ],
  },
  assertGreater: { pass: [() => assertGreater(2, 1)], fail: [() => assertGreater(1, 1)] },
  assertGreaterOrEqual: {
    pass: [() => assertGreaterOrEqual(1, 1)],
    fail: [() => assertGreaterOrEqual(0, 1), () => assertGreaterOrEqual(NaN, 1)],
  },
  assertLess: { pass: [() => assertLess(1, 2)], fail: [() => assertLess(1, 1)] },
  assertLessOrEqual: { pass: [() => assertLessOrEqual(1, 1)], fail: [() => assertLessOrEqual(2, 1)] },
  assertInstanceOf: {
    pass: [() => assertInstanceOf(new TypeError(), Error)],
    fail: [() => assertInstanceOf({}, Error)],
  },
  assertThrows: {
    pass: [
      () => assertThrows(() => JSON.parse("{")),
      () => assertThrows(() => JSON.parse("{"), SyntaxError, "JSON"),
    ],
    fail: [
      () => assertThrows(() => 1),
      () => assertThrows(() => JSON.parse("{"), RangeError),
      () => assertThrows(() => JSON.parse("{"), SyntaxError, "another text"),
    ],
  },
  fail: { pass: [], fail: [() => fail("because"), () => unreachable()] },
};

for (const [name, { pass, fail: failing }] of Object.entries(CASES)) {
  Deno.test(`${name}() passes and fails as its name says`, () => {
    for (const call of pass) call();
    for (const call of failing) {
      let thrown: unknown;
      try {
        call();
      } catch (error) {
        thrown = error;
      }
      if (!(thrown instanceof AssertionError)) throw new Error(`${call} did not fail, but gave ${thrown}`);
    }
  });
}

Deno.test("assertRejects() gives the error, and fails when there is none, or another", async () => {
  const refuse = () => Promise.reject(new RangeError("too far"));
  const error = await assertRejects(refuse, RangeError, "far");
  assertEquals(error.message, "too far");
  await assertRejects(() => assertRejects(() => Promise.resolve()), AssertionError, "Expected the promise");
  await assertRejects(() => assertRejects(refuse, TypeError), AssertionError, "TypeError");
  await assertRejects(() => assertRejects(refuse, RangeError, "near"), AssertionError, "near");
  const throwing = () => {
    throw new RangeError("at once");
  };
  await assertRejects(() => assertRejects(throwing, RangeError), AssertionError, "the function threw");
});

Deno.test("assertEquals() shows its message before the differences", () => {
  const error = assertThrows(
    () => assertEquals(1, 2, "the count of rows"),
    AssertionError,
    "the count of rows: ",
  );
  assertStringIncludes(error.message, "2");
});
