import { assertEquals, assertRejects } from "@std/assert";
import { overlapped } from "./overlapped.ts";

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("overlapped() prepares an item while the one before is being finished, and keeps the order", async () => {
  const said: string[] = [];
  const outcomes = await overlapped([1, 2, 3], async (item) => {
    said.push(`prepare ${item}`);
    await turn();
    return item;
  }, async (item) => {
    said.push(`finish ${item}`);
    for (let turns = 0; turns < 3; turns++) await turn();
    said.push(`finished ${item}`);
    return item * 10;
  });
  assertEquals(outcomes, [10, 20, 30]);
  assertEquals(said, [
    "prepare 1",
    "finish 1",
    "prepare 2",
    "finished 1",
    "finish 2",
    "prepare 3",
    "finished 2",
    "finish 3",
    "finished 3",
  ]);
});

Deno.test("overlapped() ends with the first failure, once nothing is under way", async () => {
  let underWay = 0;
  const finish = async (item: number) => {
    underWay++;
    await turn();
    await turn();
    underWay--;
    if (item === 2) throw new Error("Cannot finish 2");
    return item;
  };
  const prepare = (item: number) =>
    item === 4 ? Promise.reject(new Error("Cannot prepare 4")) : Promise.resolve(item);
  await assertRejects(() => overlapped([1, 2, 3], prepare, finish), Error, "Cannot finish 2");
  assertEquals(underWay, 0);
  await assertRejects(() => overlapped([3, 4, 5], prepare, finish), Error, "Cannot prepare 4");
  assertEquals(underWay, 0);
});

Deno.test("overlapped() gives nothing for nothing", async () => {
  assertEquals(await overlapped([], () => Promise.resolve(1), () => Promise.resolve(2)), []);
});
