// A crowd in simulated time: the client, and the maintenance page, as many times as there are visitors.
import { watchStatus } from "../conforma-status.js";
import { World, document1 } from "./world.js";

// mulberry32: the same crowd in each run.
const seeded = (seed) => () => {
  seed = seed + 0x6d2b79f5 | 0;
  let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
  t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
  return ((t ^ t >>> 14) >>> 0) / 4294967296;
};

// load says how many of the events fall into each second from began on: the mean and the fullest one.
const load = (events, began, seconds) => {
  const each = new Array(seconds).fill(0);
  for (const { at } of events) {
    const second = Math.floor((at - began) / 1000);
    if (second >= 0 && second < seconds) each[second]++;
  }
  return { mean: each.reduce((a, b) => a + b) / seconds, peak: Math.max(...each) };
};

// A real Response, and a real timer for each request, take half of a crowd's time. Nothing fails or hangs in one.
const response = (body, { headers }) => ({ ok: true, status: 200, headers: { get: (name) => headers[name] ?? null }, json: async () => JSON.parse(body) });
AbortSignal.timeout = () => undefined;

const quantile = (values, q) => values.sort((a, b) => a - b)[Math.ceil(q * values.length) - 1] / 1000;

/**
 * Has so many visitors, each with one visible tab, use a site that closes for so many seconds and opens again. Loads are in
 * requests per second, times in seconds.
 */
export const crowd = async ({ visitors = 1000, every = 15000, closed }) => {
  const world = new World();
  world.response = response;
  const random = seeded(1);
  const figures = {};

  const tabs = [];
  for (let i = 0; i < visitors; i++) {
    const tab = world.tab({ random });
    tab.window.BroadcastChannel = class { postMessage() {} close() {} }; // they don't share a browser
    tab.watch = watchStatus({ statusUrl: "https://maintenance.example.org/status.json", every, window: tab.window, onLeave: () => { tab.left = world.time; } });
    tabs.push(tab);
    await world.pass(every / visitors); // they came over one interval
  }
  await world.pass(2 * every);
  let began = world.time;
  await world.pass(60 * 1000);
  figures.open = load(world.polls, began, 60);

  world.store = document1({ mode: "offline", seq: 2, since: new Date(world.time).toISOString() });
  began = world.time;
  const pages = [];
  for (let passed = 0; passed < every; passed += 100) {
    await world.pass(100);
    // Who has left is on the page.
    for (const tab of tabs.filter((tab) => tab.gone && !tab.page)) pages.push(tab.page = world.page({ random }));
  }
  figures.know = { median: quantile(tabs.map((tab) => tab.left - began), .5), last: quantile(tabs.map((tab) => tab.left - began), 1) };
  figures.left = pages.length;
  for (const tab of tabs) tab.freeze(); // they are unloaded

  // Closed for that long; the pages needn't be watched all the while.
  world.store.since = new Date(began - 1000 * (closed - 120)).toISOString();
  world.store.seq++;
  await world.pass(60 * 1000 - every);
  began = world.time;
  await world.pass(60 * 1000);
  figures.closed = load(world.polls, began, 60);

  world.store = document1({ mode: "online", seq: 4, since: new Date(world.time).toISOString() });
  began = world.time;
  world.visits = [];
  await world.pass(180 * 1000);
  figures.back = load(world.visits, began, 60);
  const returned = world.visits.filter(({ to }) => !to.includes("/.conforma-status/"));
  figures.returned = returned.length;
  figures.asked = world.visits.length - returned.length;
  figures.return = { median: quantile(returned.map(({ at }) => at - began), .5), last: quantile(returned.map(({ at }) => at - began), 1) };
  return figures;
};
