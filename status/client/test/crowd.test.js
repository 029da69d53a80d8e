import assert from "node:assert/strict";
import test from "node:test";
import { watchStatus } from "../conforma-status.js";
import { World, document1 } from "./world.js";

// The figures that deploy/front-end-costs.md goes by.
test("a thousand tabs, each on its own, load the store evenly and all leave within one interval", async () => {
  const every = 15000, count = 1000;
  const world = new World();
  const tabs = [];
  for (let i = 0; i < count; i++) {
    const tab = world.tab();
    tab.window.BroadcastChannel = class { postMessage() {} close() {} }; // one visitor each
    watchStatus({ statusUrl: "https://maintenance.example.org/status.json", window: tab.window });
    tabs.push(tab);
    if (i % 20 === 0) await world.pass(every / 50); // they came over one interval
  }
  await world.pass(2 * every);
  const before = world.polls.length;
  const span = 10;
  const seconds = new Array(span * every / 1000).fill(0), began = world.time;
  await world.pass(span * every);
  for (const { at } of world.polls.slice(before)) seconds[Math.min(seconds.length - 1, Math.floor((at - began) / 1000))]++;
  const mean = (world.polls.length - before) / seconds.length;
  assert.ok(mean > count / 13.5 && mean < count / 12, `${mean} requests a second`);
  assert.ok(Math.max(...seconds) <= 3 * mean, `${Math.max(...seconds)} in one second`);
  world.store = document1({ mode: "offline", seq: 2 });
  await world.pass(every);
  assert.equal(tabs.filter((tab) => tab.gone?.length === 1).length, count);
  console.log(`# ${count} tabs: ${mean.toFixed(1)} requests a second, ${Math.max(...seconds)} in the fullest`);
});
