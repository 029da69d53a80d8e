import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { watchStatus } from "../conforma-status.js";
import { World, admin, apollo3, document1, every, flush, networkError, offline, open, page, statusUrl } from "./world.js";

test("one verdict for each failure and status", async (t) => {
  const failures = {
    "network error": networkError,
    "Firefox's network error": new TypeError("NetworkError when attempting to fetch resource."),
    "timeout": new DOMException("signal timed out", "TimeoutError"),
    "network error in Apollo 3": { name: "ApolloError", networkError },
    "network error in axios": { name: "AxiosError", code: "ERR_NETWORK" },
    "timeout in axios": { name: "AxiosError", code: "ECONNABORTED" },
    "XMLHttpRequest's error": { type: "error" },
    "WebSocket closed": { type: "close", code: 1006 },
    "WebSocket closed by a proxy": { type: "close", code: 1014 },
    "answer 404": new Response("", { status: 404 }),
    "answer 500": new Response("", { status: 500 }),
    "our 503": new Response("{}", { status: 503, headers: { "X-Conforma-Status": "offline" } }),
    "opaque redirect": { type: "opaqueredirect", status: 0 },
    "HTML for JSON": new SyntaxError("Unexpected token '<'"),
    "axios, 500": { name: "AxiosError", code: "ERR_BAD_RESPONSE", status: 500 },
    "Apollo 3, ServerError": apollo3,
    "Apollo 3, HTML": { name: "ServerParseError", statusCode: 200 },
    "Apollo 4, ServerError": { name: "ServerError", statusCode: 503, bodyText: "{}" },
    "GraphQL, MAINTENANCE": { errors: [{ extensions: { code: "MAINTENANCE" } }] },
    "nothing": undefined,
    "null": null,
    "a text": "failed",
  };
  const atNetwork = new Set(Object.keys(failures).slice(0, 9));
  const lost = (name) => atNetwork.has(name) ? "connection" : "trouble";
  // What the store answers, whether the user is an administrator, and what it comes to.
  const rows = {
    "open": [document1({ seq: 2 }), false, "trouble"],
    "closed": [offline, false, "maintenance"],
    "closed, for an administrator": [offline, true, "maintenance"],
    "admin, for a user": [admin, false, "maintenance"],
    "admin, for an administrator": [admin, true, "trouble"],
    "an older copy": [document1({ mode: "offline", seq: 0 }), false, "trouble"],
    "unreachable": ["down", false, lost],
    "404": [404, false, lost],
    "500": [500, false, lost],
    "HTML": ["<!doctype html>", false, lost],
    "null as status": ["null", false, lost],
    "of another version": [{ ...offline, version: 2 }, false, lost],
    "in an unknown mode": [{ ...offline, mode: "ajar" }, false, "trouble"],
    "leads into a script": [{ ...offline, pageUrl: "javascript:alert(1)" }, false, lost],
    "with keys of the future": [{ ...offline, colour: "blue" }, false, "maintenance"],
  };
  for (const [status, [store, isAdmin, want]] of Object.entries(rows)) {
    for (const [name, failure] of Object.entries(failures)) {
      await t.test(`${status}: ${name}`, async () => {
        const world = new World();
        const tab = open(world, { isAdmin: () => isAdmin });
        await world.pass(100);
        world.store = store;
        const verdict = typeof want === "function" ? want(name) : want;
        assert.equal(await tab.watch.failedQuery(failure), verdict);
        assert.deepEqual(tab.gone, verdict === "maintenance" ? [page] : undefined);
      });
    }
  }
});

test("fifty failures at once ask once, and leave once", async () => {
  const world = new World();
  const tab = open(world);
  await world.pass(100);
  world.store = offline;
  const before = world.polls.length;
  const verdicts = await Promise.all(Array.from({ length: 50 }, () => tab.watch.failedQuery(networkError)));
  assert.deepEqual(new Set(verdicts), new Set(["maintenance"]));
  assert.equal(world.polls.length - before, 1);
  assert.deepEqual(tab.gone, [page]);
});

test("a failure after that asks anew", async () => {
  const world = new World();
  const tab = open(world);
  await world.pass(100);
  assert.equal(await tab.watch.failedQuery(networkError), "trouble");
  world.store = offline;
  assert.equal(await tab.watch.failedQuery(networkError), "maintenance");
  assert.deepEqual(tab.gone, [page]);
});

test("a poll that was under way when a query failed is not believed, nor waited for", async () => {
  const world = new World();
  const tab = open(world);
  await world.pass(100);
  let answer;
  world.store = () => new Promise((done) => answer = done);
  tab.fire("online"); // the poll
  await flush();
  world.store = offline;
  assert.equal(await tab.watch.failedQuery(networkError), "maintenance");
  answer(document1());
  await world.pass(100);
  assert.equal(tab.watch.status.mode, "offline");
});

test("leaving", async (t) => {
  const cases = {
    "no callback": [{}, true],
    "a callback": [{ onLeave: () => {} }, true],
    "a veto": [{ onLeave: () => false }, false],
    "a veto that takes a while": [{ onLeave: async () => false }, false],
    "a draft that can't be saved": [{ onLeave: () => { throw new Error("full"); } }, true],
    "a draft that can't be saved after a while": [{ onLeave: async () => { throw new Error("full"); } }, true],
    "a notice that nobody has closed yet": [{ onLeave: () => new Promise(() => {}) }, false],
  };
  for (const [name, [options, leaves]] of Object.entries(cases)) {
    await t.test(name, async () => {
      const world = new World();
      const tab = open(world, options);
      await world.pass(100);
      world.store = offline;
      await world.pass(every);
      assert.deepEqual(tab.gone, leaves ? [page] : undefined);
      assert.equal(Boolean(tab.watch.leaving), leaves);
    });
  }
  await t.test("a query fails while the notice stands", async () => {
    const world = new World();
    const told = [];
    const tab = open(world, { onLeave: (doc, failed, signal) => told.push({ failed, signal }) && (failed || new Promise(() => {})) });
    await world.pass(100);
    world.store = offline;
    await world.pass(every);
    assert.equal(tab.gone, undefined);
    assert.equal(await tab.watch.failedQuery(apollo3), "maintenance");
    assert.deepEqual(tab.gone, [page]);
    assert.deepEqual(told.map(({ failed }) => Boolean(failed)), [false, true]);
    assert.ok(told[0].signal.aborted, "the notice goes");
  });
  await t.test("the site opens while the notice stands", async () => {
    const world = new World();
    let done, signal;
    const tab = open(world, { onLeave: (doc, failed, s) => new Promise((f) => { done = f; signal = s; }) });
    await world.pass(100);
    world.store = offline;
    await world.pass(every);
    world.store = document1({ seq: 3 });
    await world.pass(every);
    assert.ok(signal.aborted, "the notice goes");
    done();
    await world.pass(every);
    assert.equal(tab.gone, undefined);
  });
  await t.test("a veto holds until the site closes anew", async () => {
    const world = new World();
    let asked = 0;
    const tab = open(world, { onLeave: () => { asked++; return false; } });
    world.store = offline;
    await world.pass(10 * every);
    assert.equal(asked, 1);
    world.store = document1({ seq: 3 });
    await world.pass(2 * every);
    world.store = { ...offline, seq: 4, since: "2026-11-23T01:00:00Z" };
    await world.pass(2 * every);
    assert.equal(asked, 2);
    tab.watch.stop();
  });
  await t.test("a visitor whom the application asked, and who stays, can go on working, and is taken along later", async () => {
    const world = new World();
    const tab = open(world); // its location stays where it is
    await world.pass(100);
    world.store = offline;
    await world.pass(every);
    assert.equal(tab.watch.leaving, true);
    await world.pass(30000);
    assert.equal(tab.watch.leaving, false);
    const before = world.polls.length;
    await world.pass(5 * every);
    assert.ok(world.polls.length > before, "it goes on asking");
    assert.equal(tab.gone.length, 1, "and doesn't insist");
    assert.equal(await tab.watch.failedQuery(apollo3), "maintenance");
    assert.deepEqual(tab.gone, [page, page]);
  });
  await t.test("another callback that throws keeps nobody", () => {
    // Apart, because the test runner takes the rejection that nobody handles for a failure of its own.
    const { stdout, stderr } = spawnSync(process.execPath, ["--unhandled-rejections=warn", "--input-type=module", "-e", `
      import { watchStatus } from ${JSON.stringify(new URL("../conforma-status.js", import.meta.url).href)};
      import { World, document1 } from ${JSON.stringify(new URL("world.js", import.meta.url).href)};
      const world = new World();
      const tab = world.tab();
      world.store = document1({ mode: "offline" });
      watchStatus({ statusUrl: "x", window: tab.window, onChange: () => { throw new Error("the application's own"); } });
      await world.pass(100);
      console.log(tab.gone.length);
    `], { encoding: "utf8" });
    assert.equal(stdout, "1\n", stderr);
    assert.match(stderr, /the application's own/);
  });
});

test("admin mode", async (t) => {
  for (const [name, options, path, leaves] of [
    ["a user", { isAdmin: () => false }, "/list", true],
    ["nobody said who is who", {}, "/list", true],
    ["an administrator", { isAdmin: () => true }, "/list", false],
    ["somebody about to log in", { isAdmin: () => false }, "/login", false],
    ["somebody about to log in elsewhere", { isAdmin: () => false, loginPath: "/enter" }, "/enter", false],
    ["somebody beside the login page", { isAdmin: () => false }, "/login/help", true],
  ]) {
    await t.test(name, async () => {
      const world = new World();
      const waits = [];
      const tab = open(world, { ...options, onWait: (doc) => waits.push(doc.mode) }, { path });
      await world.pass(100);
      world.store = admin;
      await world.pass(every);
      assert.equal(tab.gone?.length, leaves ? 1 : undefined);
      if (leaves) return;
      for (const failure of [
        { name: "ServerError", statusCode: 500 }, new Response("", { status: 404 }), { name: "AxiosError", status: 502 },
        { type: "close", code: 4001 }, // one of the application's own
      ]) {
        assert.equal(await tab.watch.failedQuery(failure), "trouble");
        assert.deepEqual(waits, [], "is not told to wait for what the application itself answers");
      }
      for (const failure of [
        apollo3, networkError, new Response("", { status: 503 }), { errors: [{ extensions: { code: "MAINTENANCE" } }] }, { type: "close", code: 1006 },
        { type: "close", code: 1014 },
      ]) {
        assert.equal(await tab.watch.failedQuery(failure), "trouble");
        assert.deepEqual(waits.splice(0), ["admin"], "is told to wait");
      }
      world.store = { ...offline, seq: 3 };
      await world.pass(every);
      assert.equal(tab.gone?.length, 1, "nobody stays in offline mode");
    });
  }
});

test("onChange hears of each change once, and of what is announced", async () => {
  const world = new World();
  const heard = [];
  open(world, { onChange: ({ seq, next }) => heard.push([seq, next?.from]) });
  await world.pass(5 * every);
  world.store = document1({ seq: 2, next: { from: "2026-11-23T09:00:00Z", until: null } });
  await world.pass(5 * every);
  assert.deepEqual(heard, [[1, undefined], [2, "2026-11-23T09:00:00Z"]]);
});

test("fetch", async (t) => {
  const json = { headers: { "content-type": "application/json" } };
  const rows = {
    // What the application answers, whether the status is asked for, and what comes of it while the site is open.
    "200": [() => new Response("{}", json), false],
    "401": [() => new Response("{}", { status: 401, ...json }), false],
    "404": [() => new Response("{}", { status: 404, ...json }), true],
    "500": [() => new Response("{}", { status: 500, ...json }), true],
    "503": [() => new Response("{}", { status: 503, ...json }), true],
    "HTML": [() => new Response("<html>", { headers: { "content-type": "text/html" } }), true],
    "opaque redirect": [() => ({ type: "opaqueredirect", status: 0, headers: new Headers() }), true],
    "network error": [() => { throw networkError; }, true],
    "given up by the application": [() => { throw new DOMException("", "AbortError"); }, false],
    "given up for no reason": [() => { throw null; }, false],
  };
  for (const [name, [answer, asks]] of Object.entries(rows)) {
    for (const store of [document1({ seq: 2 }), offline, "down"]) {
      await t.test(`${name}, ${store.mode ?? store}`, async () => {
        const world = new World();
        const tab = world.tab();
        const { fetch } = tab.window;
        tab.window.fetch = async (url, options) => url === statusUrl ? fetch(url, options) : answer();
        const watch = watchStatus({ statusUrl, window: tab.window });
        await world.pass(100);
        world.store = store;
        const before = world.polls.length;
        let outcome = "withheld";
        watch.fetch("/server/api").then((r) => outcome = r.status, (e) => outcome = e && e.name);
        await world.pass(1000);
        assert.equal(world.polls.length > before, asks, "asks for the status");
        let want;
        try {
          want = answer().status;
        } catch (e) {
          want = e && e.name;
        }
        assert.equal(outcome, asks && store === offline ? "withheld" : want);
      });
    }
  }
});

test("after stop nothing happens any more", async () => {
  const world = new World();
  const tab = open(world);
  await world.pass(100);
  tab.watch.stop();
  const before = world.polls.length;
  world.store = offline;
  tab.fire("online");
  tab.hide(false);
  await world.pass(10 * every);
  assert.equal(world.polls.length, before);
  assert.equal(tab.gone, undefined);
});

test("a watch that was stopped judges by the failure alone, and passes answers on", async (t) => {
  const rows = {
    // What came before it was stopped.
    "before the first status": async () => {},
    "on an open site": (world) => world.pass(100),
    "on a closed site, by a veto": async (world) => {
      world.store = offline;
      await world.pass(every);
    },
    "while the status is asked for": async (world, tab) => {
      await world.pass(100);
      world.store = () => new Promise((done) => setImmediate(done, offline));
      tab.fire("online");
    },
  };
  for (const [name, before] of Object.entries(rows)) {
    for (const store of [document1({ seq: 3 }), { ...offline, seq: 3 }, "down"]) {
      await t.test(`${name}, then ${store.mode ?? store}`, async () => {
        const world = new World();
        const tab = world.tab();
        const { fetch } = tab.window;
        tab.window.fetch = async (url, options) => url === statusUrl ? fetch(url, options) : new Response("", { status: 404 });
        const watch = watchStatus({ statusUrl, window: tab.window, onLeave: () => false });
        await before(world, tab);
        watch.stop();
        world.store = store;
        assert.equal((await watch.fetch("/404")).status, 404);
        assert.equal(await watch.failedQuery(new Response("", { status: 404 })), "trouble");
        assert.equal(await watch.failedQuery(networkError), "connection");
        watch.stop(); // once more does no harm
        await world.pass(10 * every);
        assert.equal(tab.gone, undefined);
      });
    }
  }
  await t.test("takes its notice along", async () => {
    const world = new World();
    let shown;
    world.store = offline;
    const tab = open(world, { onLeave: (doc, failed, signal) => new Promise(() => shown = signal) });
    await world.pass(100);
    assert.equal(shown.aborted, false);
    tab.watch.stop();
    assert.equal(shown.aborted, true);
  });
  await t.test("while the page was being left, and the visitor stays", async () => {
    const world = new World();
    world.store = offline;
    const tab = open(world);
    await world.pass(100);
    assert.equal(tab.watch.leaving, true);
    tab.watch.stop();
    await world.pass(30000);
    assert.equal(tab.watch.leaving, false);
    const before = world.polls.length;
    await world.pass(10 * every);
    assert.equal(world.polls.length, before);
    assert.equal(tab.gone.length, 1);
  });
});
