import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { addMaintenanceInterceptor } from "../axios.js";
import { watchStatus } from "../conforma-status.js";
import { World, document1, every, flush, networkError, offline, page, statusUrl } from "./world.js";

// enter opens a tab whose own requests are answered when the test says so.
const enter = (world, options) => {
  const tab = world.tab();
  const { fetch } = tab.window;
  const answers = {};
  tab.window.fetch = (url, init) => url === statusUrl ? fetch(url, init) : new Promise((done, fail) => answers[url] = { done, fail });
  tab.watch = watchStatus({ statusUrl, window: tab.window, ...options });
  tab.request = (url) => {
    tab.outcomes ??= {};
    tab.outcomes[url] = "nothing";
    tab.watch.fetch(url, { method: "POST" }).then((r) => tab.outcomes[url] = r.status, (e) => tab.outcomes[url] = e.name);
  };
  tab.answer = async (url, status) => {
    if (status) answers[url].done(new Response("{}", { status, headers: { "content-type": "application/json" } }));
    else answers[url].fail(networkError);
    await flush();
  };
  return tab;
};

test("the page waits for its own requests before it is left", async (t) => {
  for (const [name, end, told] of [
    ["answered", (tab) => tab.answer("/save", 200), 200],
    ["refused by the application", (tab) => tab.answer("/save", 422), 422],
    ["refused", (tab) => tab.answer("/save", 503), "nothing"],
    ["cut", (tab) => tab.answer("/save"), "nothing"],
  ]) {
    await t.test(name, async () => {
      const world = new World();
      const tab = enter(world);
      await world.pass(100);
      tab.request("/save");
      world.store = offline;
      await world.pass(every);
      assert.equal(tab.gone, undefined, "left in the middle of it");
      assert.ok(!tab.watch.leaving);
      await end(tab);
      assert.equal(tab.outcomes["/save"], told);
      await world.pass(100);
      assert.deepEqual(tab.gone, [page]);
      assert.equal(tab.outcomes["/save"], told);
    });
  }
  await t.test("10 s at most", async () => {
    const world = new World();
    const tab = enter(world);
    await world.pass(100);
    tab.request("/save");
    world.store = offline;
    let asked;
    tab.watch.failedQuery(networkError).then((verdict) => asked = verdict);
    await world.pass(9900);
    assert.equal(tab.gone, undefined);
    await world.pass(200);
    assert.deepEqual(tab.gone, [page]);
    assert.equal(asked, "maintenance");
  });
  await t.test("and nobody is told of a failure meanwhile, whether the status can be had or not", async () => {
    const world = new World();
    const tab = enter(world);
    await world.pass(100);
    tab.request("/save");
    world.store = offline;
    await world.pass(every);
    for (const store of [offline, "down"]) {
      world.store = store;
      for (const status of [503, 500, 404, undefined]) {
        const url = `/${store.mode ?? store}/${status}`;
        tab.request(url);
        await tab.answer(url, status);
        assert.equal(tab.outcomes[url], "nothing");
      }
    }
    let verdict = "nothing";
    tab.watch.failedQuery(networkError).then((v) => verdict = v);
    await flush();
    assert.equal(verdict, "nothing");
    await tab.answer("/save", 200);
    await world.pass(100);
    assert.deepEqual(tab.gone, [page]);
    assert.deepEqual(new Set(Object.values(tab.outcomes)), new Set(["nothing", 200]));
  });
  await t.test("and for those that follow them", async () => {
    const world = new World();
    const tab = enter(world);
    await world.pass(100);
    tab.request("/1");
    world.store = offline;
    await world.pass(every);
    await tab.answer("/1", 200);
    tab.request("/2");
    await world.pass(1000);
    assert.equal(tab.gone, undefined);
    await tab.answer("/2", 200);
    await world.pass(100);
    assert.deepEqual(tab.gone, [page]);
  });
  await t.test("and stays where the site opens meanwhile, and failures are told", async () => {
    const world = new World();
    const tab = enter(world);
    await world.pass(100);
    tab.request("/save");
    tab.request("/other");
    world.store = offline;
    await world.pass(every);
    await tab.answer("/other", 503);
    world.store = document1({ seq: 3 });
    tab.fire("online");
    await world.pass(100);
    assert.deepEqual(tab.outcomes, { "/save": "nothing", "/other": 503 }, "at once, whatever is still under way");
    await tab.answer("/save", 200);
    await world.pass(10000);
    assert.equal(tab.gone, undefined);
    assert.deepEqual(tab.outcomes, { "/save": 200, "/other": 503 });
  });
  await t.test("after the notice, of what began under it as well", async () => {
    const world = new World();
    let go;
    const tab = enter(world, { onLeave: () => new Promise((done) => go = done) });
    await world.pass(100);
    world.store = offline;
    await world.pass(every);
    tab.request("/save");
    go();
    await world.pass(1000);
    assert.equal(tab.gone, undefined);
    await tab.answer("/save", 200);
    await world.pass(100);
    assert.deepEqual(tab.gone, [page]);
  });
  await t.test("but not for what is over", async () => {
    const world = new World();
    const tab = enter(world);
    await world.pass(100);
    for (const [url, status] of [["/1", 200], ["/2", 500], ["/3"]]) {
      tab.request(url);
      await tab.answer(url, status);
    }
    await world.pass(100);
    world.store = offline;
    assert.equal(await tab.watch.failedQuery(networkError), "maintenance");
    assert.deepEqual(tab.gone, [page]);
  });
});

test("the page waits for what is held", async (t) => {
  const query = (operation) => ({
    query: { definitions: [{ kind: "FragmentDefinition" }, { kind: "OperationDefinition", operation }] }, setContext() {},
  });
  for (const [name, operation, end] of [
    ["until it is closed", undefined, (watch, request) => request.closed = true],
    ["until its failure is asked about", undefined, (watch, request) => { watch.failedQuery(networkError, request); }],
    ["a mutation", query("mutation"), (watch, request) => request.closed = true],
    ["not a subscription", query("subscription"), undefined],
  ]) {
    await t.test(name, async () => {
      const world = new World();
      const tab = enter(world);
      await world.pass(100);
      const request = { closed: false };
      tab.watch.hold(request, operation);
      world.store = offline;
      await world.pass(every);
      if (end) {
        assert.equal(tab.gone, undefined);
        end(tab.watch, request);
        await world.pass(100);
      }
      assert.deepEqual(tab.gone, [page]);
    });
  }
});

test("the interceptor for axios", async (t) => {
  // As much of axios as the interceptor uses: one handler for each, and requests that end as the test has it.
  const axios = () => {
    const handlers = {};
    const interceptors = (kind) => ({
      use: (done, failed) => (handlers[kind] = { done, failed }, 1),
      eject: () => delete handlers[kind],
    });
    return {
      handlers,
      interceptors: { request: interceptors("request"), response: interceptors("response") },
      send(sent, others = (config) => config) {
        const config = others(handlers.request?.done(sent) ?? sent);
        return {
          answer: () => Promise.resolve({ config, status: 200 }).then(handlers.response?.done),
          fail: (error) => Promise.reject({ config, ...error }).catch(handlers.response?.failed ?? ((e) => { throw e; })),
        };
      },
    };
  };
  const failed = { name: "AxiosError", code: "ERR_BAD_RESPONSE", status: 503 };
  const outcome = async (promise, wait = flush) => {
    let got = "nothing";
    promise.then((r) => got = r.status, (e) => got = e.code);
    await wait();
    return got;
  };

  for (const [name, end, told, others] of [
    ["answered", (request) => request.answer(), 200],
    ["answered, and copied by another interceptor", (request) => request.answer(), 200, (config) => ({ ...config })],
    ["failed", (request) => request.fail(failed), "nothing"],
    ["cancelled", (request) => request.fail({ code: "ERR_CANCELED" }), "ERR_CANCELED"],
  ]) {
    await t.test(`${name}: the page waits`, async () => {
      const world = new World();
      const tab = enter(world);
      const client = axios();
      addMaintenanceInterceptor(client, tab.watch);
      await world.pass(100);
      const request = client.send({}, others);
      world.store = offline;
      await world.pass(every);
      assert.equal(tab.gone, undefined);
      assert.equal(await outcome(end(request), () => world.pass(100)), told);
      assert.deepEqual(tab.gone, [page]);
    });
  }
  await t.test("an open site: errors are handed on", async () => {
    const world = new World();
    const tab = enter(world);
    const client = axios();
    addMaintenanceInterceptor(client, tab.watch);
    await world.pass(100);
    assert.equal(await outcome(client.send({}).fail(failed)), "ERR_BAD_RESPONSE");
    assert.equal(await outcome(Promise.reject(failed).catch(client.handlers.response.failed)), "ERR_BAD_RESPONSE", "without a configuration");
  });
  await t.test("taken out, and with a watch that can hold nothing", async () => {
    const client = axios();
    const takeOut = addMaintenanceInterceptor(client, { leaving: false, failedQuery: async () => "trouble" });
    assert.equal(await outcome(client.send({}).answer()), 200);
    takeOut();
    assert.deepEqual(client.handlers, {});
  });
});

test("outside a browser nothing is watched, and the program ends by itself", () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--input-type=module", "-e", `
    import { watchStatus } from ${JSON.stringify(new URL("../conforma-status.js", import.meta.url).href)};
    import { notice } from ${JSON.stringify(new URL("../notice.js", import.meta.url).href)};
    let asked = 0;
    globalThis.fetch = async () => { asked++; return new Response("", { status: 404 }); };
    const watch = watchStatus({ statusUrl: "https://maintenance.example.org/status.json", ...notice() });
    const verdicts = [await watch.failedQuery(new TypeError("fetch failed")), await watch.failedQuery(undefined)];
    watch.hold({});
    const answer = await watch.fetch("https://demo.example.org/");
    watch.stop();
    console.log(JSON.stringify([verdicts, answer.status, asked, watch.status ?? null, Boolean(watch.leaving), watch.now() > 0]));
  `], { encoding: "utf8", timeout: 20000 });
  assert.deepEqual([stdout, stderr, status], ['[["connection","trouble"],404,1,null,false,true]\n', "", 0]);
});
