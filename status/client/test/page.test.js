import assert from "node:assert/strict";
import test from "node:test";
import { World, document1, offline } from "./world.js";

test("the page asks for the schedule beside the status it was published with, and an application for none", async () => {
  for (const [status, wants] of [["status.json", true], ["/.conforma-status/status.json", false]]) {
    const world = new World();
    world.store = document1({ next: { from: new Date(world.time + 86400000).toISOString(), until: null } });
    world.page({ status });
    await world.pass(1000);
    const asked = [...world.polls, ...world.visits].map(({ to }) => to);
    assert.ok(asked.includes(status), asked.join());
    assert.equal(asked.some((to) => to?.includes("schedule")), wants, asked.join());
  }
});

test("the maintenance page takes nobody to another origin", async () => {
  for (const [from, want] of Object.entries({
    "https://demo.example.org/applications/7": "https://demo.example.org/applications/7",
    "https://evil.test/": "https://demo.example.org/",
    "https://demo.example.org.evil.test/": "https://demo.example.org/",
    "https://demo.example.org@evil.test/": "https://demo.example.org/",
  })) {
    const world = new World();
    world.store = offline;
    const tab = world.page({ from });
    await world.pass(60000);
    assert.equal(tab.gone, undefined);
    world.store = document1({ seq: 3, since: new Date(world.time).toISOString() });
    await world.pass(600000);
    assert.deepEqual(tab.gone, [want], from);
  }
});
