// The service worker as nginx serves it, by itself: what it answers a page with, and what it leaves alone. Time and the network are the
// test's. Anything that isn't here, such as a cache, it can't use.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";
import { document1, flush, statusUrl } from "./world.js";

const siteUrl = "https://demo.example.org/application/7?tab=2#part";
// Reading an answer takes its turns.
const settle = async () => { for (let i = 0; i < 20; i++) await flush(); };
const rescued = "https://maintenance.example.org/demo/#from=" + encodeURIComponent(siteUrl);
const closed = document1({ mode: "offline" });

class Worker {
  listeners = {};
  pending = []; // of the network, for the page
  timers = [];
  asked = 0;

  constructor({ status = closed, file = "sw.js", pathname = "/.conforma-status/sw.js" } = {}) {
    const says = () => typeof status === "function" ? status() : Promise.resolve(Response.json(status));
    const context = {
      URL, Promise, Response: class extends Response { static redirect = (to) => ({ to }); },
      location: { pathname }, registration: { unregister: () => this.unregistered = true }, skipWaiting: () => this.skipped = true,
      URLPattern: class {}, AbortSignal: { timeout: () => {} },
      addEventListener: (name, listener) => (this.listeners[name] ??= []).push(listener),
      setTimeout: (f, ms, ...args) => this.timers.push({ ms, due: () => f(...args) }),
      fetch: (what) => {
        if (what !== statusUrl) return new Promise((done, fail) => this.pending.push({ done, fail }));
        this.asked++;
        return says();
      },
    };
    context.self = context;
    this.context = context;
    const source = readFileSync(new URL(`../dist/${file}`, import.meta.url), "utf8");
    vm.runInNewContext(source.replace("{STATUS_URL}", statusUrl), context);
  }

  // open asks for a page, and returns what becomes of it.
  open(request) {
    const page = {};
    this.event("fetch", {
      request: { url: siteUrl, method: "GET", destination: "document", ...request },
      respondWith: (answer) => {
        page.handled = true;
        answer.then((a) => page.shown = a.to ?? a.status, () => page.shown = "error");
      },
    });
    return page;
  }

  event(name, event) { for (const listener of this.listeners[name] ?? []) listener(event); }

  // meets has the browser ask for the page anew, as it was led to: by itself, and once. So it shows its error.
  meets(name) {
    const asked = this.pending.length;
    assert.equal(this.open().handled, undefined, name);
    assert.equal(this.pending.length, asked, name);
    assert.equal(this.open().handled, true, `${name}: the next time it is looked after again`);
  }

  // hangs lets those 4 seconds pass.
  hangs() {
    for (const { ms, due } of this.timers.splice(0)) {
      assert.equal(ms, 4000);
      due();
    }
  }
}

test("what is asked for", () => {
  for (const [name, request, handled] of [
    ["a page", {}, true],
    ["a form", { method: "POST" }, undefined],
    ["HEAD", { method: "HEAD" }, undefined],
    ["a frame", { destination: "iframe" }, undefined],
    ["an embedded page", { destination: "embed" }, undefined],
    ["a script's call", { destination: "" }, undefined],
    ["a picture", { destination: "image" }, undefined],
    ["a script", { destination: "script" }, undefined],
    ["a worker", { destination: "worker" }, undefined],
  ]) {
    const worker = new Worker();
    assert.equal(worker.open(request).handled, handled, name);
    assert.equal(worker.pending.length, handled ? 1 : 0, name); // one request
  }
});

test("what a page is answered with", async () => {
  const failing = new Set([502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 529]);
  for (const status of [200, 204, 304, 400, 401, 403, 404, 410, 429, 500, 501, 505, 507, 511, 530, 599, ...failing]) {
    for (const ours of [false, true]) {
      const worker = new Worker();
      const page = worker.open();
      worker.pending[0].done({ status, headers: new Headers(ours ? { "X-Conforma-Status": "offline" } : {}) });
      await settle();
      const moved = failing.has(status) && !ours;
      assert.equal(page.shown, moved ? rescued : status, `${status}, ${ours ? "ours" : "somebody else's"}`);
      assert.equal(worker.asked, moved ? 1 : 0, `${status}: nobody asks but for a failure`);
    }
  }
});

const broken = (...answers) => () => {
  const [answer] = answers;
  return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(new Response(answer));
};

test("what the status says, where a page fails", async () => {
  for (const [name, status, shown] of [
    ["offline", closed, rescued],
    ["admin", { ...closed, mode: "admin" }, rescued],
    ["more than is known", { ...closed, more: [1] }, rescued],
    ["online", { ...closed, mode: "online" }, "error"],
    ["another mode", { ...closed, mode: "later" }, "error"],
    ["no mode", { ...closed, mode: undefined }, "error"],
    ["version 2", { ...closed, version: 2 }, "error"],
    ["version \"1\"", { ...closed, version: "1" }, "error"],
    ["a script", { ...closed, pageUrl: "javascript:alert(1)" }, "error"],
    ["a script that names a page", { ...closed, pageUrl: "javascript:https://maintenance.example.org/" }, "error"],
    ["data", { ...closed, pageUrl: "data:text/html,x" }, "error"],
    ["a path", { ...closed, pageUrl: "/demo/" }, "error"],
    ["no page", { ...closed, pageUrl: undefined }, "error"],
    ["null", null, "error"],
    ["HTML", broken("<!doctype html>"), "error"],
    ["nothing", broken(""), "error"],
    ["no answer", broken(new TypeError("Failed to fetch")), "error"],
  ]) {
    const worker = new Worker({ status });
    const page = worker.open();
    worker.pending[0].fail(new TypeError("Failed to fetch"));
    await settle();
    assert.equal(page.shown, shown === "error" ? siteUrl : shown, name);
    assert.equal(worker.asked, 1, name);
    if (shown === "error") worker.meets(name);
  }
});

test("a page that hangs", async () => {
  for (const [name, status, then, shown] of [
    ["of a closed site", closed, undefined, rescued],
    ["of an open one, and then comes", { ...closed, mode: "online" }, 200, 200],
    ["of an open one, and then fails", { ...closed, mode: "online" }, "error", "error"],
    ["of one whose status is away, and then comes", broken(new TypeError("Failed to fetch")), 200, 200],
  ]) {
    const worker = new Worker({ status });
    const page = worker.open();
    await settle();
    assert.equal(page.shown, undefined, `${name}: for four seconds nothing happens`);
    assert.equal(worker.asked, 0, name);
    worker.hangs();
    await settle();
    if (then) {
      assert.equal(page.shown, undefined, `${name}: it is waited for`);
      if (then === "error") worker.pending[0].fail(new TypeError("Failed to fetch"));
      else worker.pending[0].done({ status: then, headers: new Headers() });
      await settle();
    }
    assert.equal(page.shown, shown === "error" ? siteUrl : shown, name);
    if (shown === "error") worker.meets(name);
  }
  const worker = new Worker({ status: (() => { let n = 0; return () => Promise.resolve(Response.json({ ...closed, mode: n++ ? "offline" : "online" })); })() });
  const page = worker.open();
  worker.hangs();
  await settle();
  worker.pending[0].fail(new TypeError("Failed to fetch"));
  await settle();
  assert.equal(page.shown, rescued, "of one that closes while it hangs");
});

test("where it is turned off", async () => {
  const alone = new Worker({ file: "gone.js" });
  alone.event("install", {});
  alone.event("activate", { waitUntil() {} });
  assert.deepEqual([alone.skipped, alone.unregistered, alone.open().handled], [true, true, undefined]);

  const imported = new Worker({ file: "gone.js", pathname: "/sw.js" });
  imported.event("install", {});
  imported.event("activate", { waitUntil() {} });
  assert.deepEqual([imported.skipped, imported.unregistered, imported.open().handled], [undefined, undefined, undefined]);
  assert.equal(await imported.context.conformaStatus.rescue(siteUrl, Promise.resolve(7)), 7);
  await assert.rejects(imported.context.conformaStatus.rescue(siteUrl, Promise.reject(new TypeError("no"))), TypeError);
});

test("imported by an application's worker, it leaves that to live as it does", () => {
  const worker = new Worker({ pathname: "/sw.js" });
  worker.event("install", {});
  assert.deepEqual([worker.skipped, worker.open().handled], [undefined, true]);
});
