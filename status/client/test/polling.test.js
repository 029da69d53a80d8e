import assert from "node:assert/strict";
import test from "node:test";
import { watchStatus } from "../conforma-status.js";
import { World, apollo3, document1, every, networkError, offline, open, page, statusUrl } from "./world.js";

test("a status that fetch can't even ask for is asked for again", async () => {
  const world = new World();
  const tab = world.tab();
  const { fetch } = tab.window;
  tab.window.fetch = () => { throw new Error("no"); };
  const watch = watchStatus({ statusUrl, window: tab.window });
  assert.equal(await watch.failedQuery(networkError), "connection");
  assert.equal(await watch.failedQuery(networkError), "connection");
  tab.window.fetch = fetch;
});

test("every visible tab knows within one interval, and one asks for all", async () => {
  const world = new World();
  const knew = [];
  const tabs = Array.from({ length: 10 }, (_, i) => open(world, { onLeave: () => knew[i] = world.time }));
  await world.pass(20 * every + 4321);
  const quiet = world.polls.length;
  await world.pass(100 * every);
  const rate = (world.polls.length - quiet) / 100;
  assert.ok(rate > 1 && rate < 1.3, `${rate} polls in an interval`);
  const closed = world.time;
  world.store = offline;
  await world.pass(every);
  assert.equal(knew.filter(Boolean).length, 10);
  assert.ok(Math.max(...knew) - closed <= every);
  assert.ok(tabs.every((tab) => tab.gone?.length === 1));
});

test("the leader among the tabs goes, and the others still know in time", async () => {
  for (const [way, go] of Object.entries({
    "hides": (leader) => leader.hide(true),
    "closes": (leader) => leader.watch.stop(),
    "is frozen, or discarded": (leader) => leader.freeze(),
    "is frozen while it asks": (leader, world) => {
      world.store = () => new Promise(() => {});
      leader.fire("online");
      leader.freeze();
    },
  })) {
    const world = new World();
    const tabs = [open(world), open(world), open(world)];
    await world.pass(10 * every);
    const leader = world.polls.at(-1).tab;
    go(leader, world);
    world.store = offline;
    await world.pass(every);
    for (const tab of tabs) assert.equal(tab.gone?.length, tab === leader ? undefined : 1, way);
    leader.thaw();
    leader.hide(false);
    await world.pass(way === "is frozen while it asks" ? 0 : every);
    assert.equal(leader.gone?.length, way === "closes" ? undefined : 1, `${way}, and comes back`);
  }
});

test("a hidden tab asks nothing, and at once when it is shown", async () => {
  const world = new World();
  const tab = open(world);
  await world.pass(100);
  tab.hide(true);
  const before = world.polls.length;
  world.store = offline;
  await world.pass(100 * every);
  assert.equal(world.polls.length, before);
  assert.equal(tab.gone, undefined);
  tab.hide(false);
  await world.pass(0);
  assert.deepEqual(tab.gone, [page]);
});

test("a tab that is back online asks at once", async () => {
  const world = new World();
  world.store = "down";
  const tab = open(world);
  await world.pass(10 * every);
  world.store = offline;
  tab.fire("online");
  await world.pass(0);
  assert.deepEqual(tab.gone, [page]);
});

test("a poll that hangs keeps nobody from asking at once", async (t) => {
  for (const [name, wake] of [["back online", (tab) => tab.fire("online")], ["shown", (tab) => tab.hide(false)]]) {
    await t.test(name, async () => {
      const world = new World();
      const tab = open(world);
      await world.pass(100);
      world.store = () => new Promise(() => {});
      await world.pass(every);
      tab.hide(name === "shown");
      world.store = offline;
      wake(tab);
      await world.pass(0);
      assert.deepEqual(tab.gone, [page]);
    });
  }
});

test("a tab that slept asks when it wakes up", async () => {
  const world = new World();
  const tab = open(world);
  await world.pass(100);
  world.store = offline;
  world.time += 8 * 3600 * 1000; // timers stood still
  await world.pass(every);
  assert.deepEqual(tab.gone, [page]);
});

test("a store that is away is asked less and less, down to each 16 intervals", async () => {
  const world = new World();
  world.store = "down";
  const tab = open(world, {}, { random: () => .5 });
  await world.pass(200 * every);
  const gaps = world.polls.map(({ at }, i) => at - world.polls[i - 1]?.at).slice(1).map((ms) => Math.round(ms / (.85 * every)));
  assert.deepEqual(gaps.slice(0, 6), [2, 4, 8, 16, 16, 16]);
  world.store = document1();
  await world.pass(16 * every);
  const before = world.polls.length;
  await world.pass(10 * every);
  assert.ok(world.polls.length - before >= 10);
  assert.equal(tab.gone, undefined);
});

test("an older status never wins", async (t) => {
  await t.test("from a cache", async () => {
    const world = new World();
    world.store = document1({ seq: 5 });
    const tab = open(world);
    await world.pass(100);
    world.store = { ...offline, seq: 4 };
    await world.pass(5 * every);
    assert.equal(await tab.watch.failedQuery(apollo3), "trouble");
    assert.equal(tab.watch.status.seq, 5);
    assert.equal(tab.gone, undefined);
  });
  await t.test("over a reload", async () => {
    const world = new World(), storage = {};
    world.store = document1({ seq: 5 });
    open(world, {}, { storage });
    await world.pass(100);
    world.store = { ...offline, seq: 4 };
    const tab = open(world, {}, { storage });
    await world.pass(5 * every);
    assert.equal(tab.gone, undefined);
  });
  await t.test("nor one without a number", async () => {
    const world = new World();
    const tab = open(world);
    await world.pass(100);
    for (const seq of [undefined, "new", {}]) {
      world.store = { ...offline, seq };
      await world.pass(2 * every);
      assert.equal(await tab.watch.failedQuery(apollo3), "trouble");
    }
    assert.equal(tab.watch.status.seq, 1);
    assert.equal(tab.gone, undefined);
  });
  await t.test("from another tab", async () => {
    const world = new World();
    world.store = document1({ seq: 5 });
    const tab = open(world);
    await world.pass(100);
    tab.channel.onmessage({ data: [{ ...offline, seq: 4 }, 0] });
    await world.pass(100);
    assert.equal(tab.gone, undefined);
  });
  await t.test("where storage is forbidden", async () => {
    const world = new World();
    const tab = world.tab();
    Object.defineProperty(tab.window, "sessionStorage", { get() { throw new Error("denied"); } });
    const watch = watchStatus({ statusUrl, window: tab.window });
    world.store = document1({ seq: 5 });
    await world.pass(2 * every);
    world.store = { ...offline, seq: 4 };
    await world.pass(2 * every);
    assert.equal(watch.status.seq, 5);
    world.store = { ...offline, seq: 6 };
    await world.pass(every);
    assert.deepEqual(tab.gone, [page]);
  });
});

test("time is the server's", async () => {
  const world = new World();
  world.serverAhead = -3 * 3600 * 1000;
  let now;
  const tab = open(world, { onChange: (status, clock) => now = clock });
  const beside = open(world); // hears of it from the other
  await world.pass(1000);
  for (const clock of [now, tab.watch.now, beside.watch.now]) {
    assert.ok(Math.abs(clock() - (world.time + world.serverAhead)) < 2000);
  }
});

test("the status is asked for as a bucket serves it best: revalidated, in bounded time", async () => {
  const world = new World();
  open(world);
  await world.pass(0);
  const { to, options: { cache, signal, headers } } = world.polls[0];
  assert.deepEqual([to, cache, headers], [statusUrl, "no-cache", undefined]);
  assert.ok(signal instanceof AbortSignal);
});
