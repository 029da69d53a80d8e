import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { watchStatus } from "../conforma-status.js";
import { World, document1, flush, offline, page, statusUrl } from "./world.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// load has the link and Apollo Client of that version as an application would ("make need-web" installs it).
const load = async (t, version) => {
  const dir = mkdtempSync(join(tmpdir(), "apollo-"));
  t.after(() => rmSync(dir, { recursive: true }));
  symlinkSync(here(`../../../deploy/e2e/web/${version}/node_modules`), join(dir, "node_modules"));
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  // Node needs the file's name where a bundler finds it: version 3 exports nothing under shorter ones.
  const core = version === "apollo3" ? "@apollo/client/core/index.js" : "@apollo/client/core";
  const link = readFileSync(here("../apollo.js"), "utf8").replace("@apollo/client/core", core);
  const batch = core.replace("core", "link/batch-http");
  writeFileSync(join(dir, "all.js"), `${link}\nexport * from "${core}";\nexport { BatchHttpLink } from "${batch}";\n`);
  return import(pathToFileURL(join(dir, "all.js")));
};

// until waits for what takes Apollo Client some turns of its own.
const until = async (holds) => {
  const end = Date.now() + 30000;
  while (!holds()) {
    assert.ok(Date.now() < end, `never: ${holds}`);
    await new Promise((done) => setTimeout(done, 1));
  }
};

const says = (body, status = 200) => async () => new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
const refuses = (code) => says({ errors: [{ message: code, extensions: { code } }] });
// As long as nobody gives it up.
const hangs = (url, { signal }) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));

const rows = {
  // What the server answers, what comes of it while nothing is left, and how often the status is asked for.
  "data": [says({ data: { app: "demo" } }), "data", 0],
  "UNAUTHENTICATED": [refuses("UNAUTHENTICATED"), "UNAUTHENTICATED", 0],
  "MAINTENANCE": [refuses("MAINTENANCE"), "MAINTENANCE", 1],
  "503": [says({}, 503), "ServerError", 1],
  "network error": [async () => { throw new TypeError("Failed to fetch"); }, "TypeError", 1],
  "given up by the application": [hangs, "AbortError", 0],
};

for (const version of ["apollo3", "apollo4"]) {
  test(`the link in ${version}`, async (t) => {
    const { maintenanceLink, ApolloClient, HttpLink, InMemoryCache, gql } = await load(t, version);
    // ask makes a query that is answered so.
    const ask = (status, answer) => {
      const stop = new AbortController();
      const asking = { got: "nothing", giveUp: () => stop.abort() };
      asking.reached = new Promise((reached) => {
        const client = new ApolloClient({
          cache: new InMemoryCache(),
          link: maintenanceLink(status).concat(new HttpLink({ uri: "https://demo.example.org/graphql", fetch: (...request) => (reached(), answer(...request)) })),
        });
        asking.over = client.query({
          query: gql("{ app }"), fetchPolicy: "no-cache", errorPolicy: "all", context: { fetchOptions: { signal: stop.signal } },
        }).then((result) => {
          const errors = result.errors ?? result.error?.errors;
          asking.got = errors ? errors[0].extensions.code : result.error ? result.error.name : "data";
        }, (e) => asking.got = (e.networkError ?? e).name);
      });
      return asking;
    };
    for (const [name, [answer, outcome, asks]] of Object.entries(rows)) {
      for (const when of ["nothing is left", "the page is being left", "it turns out to be left"]) {
        await t.test(`${name}, while ${when}`, async () => {
          let asked = 0, held, over;
          const status = {
            leaving: when === "the page is being left",
            hold: (request, operation) => {
              held = request;
              assert.equal(operation.query.definitions[0].operation, "query");
            },
            failedQuery: async (failure, request) => {
              asked++;
              over = request;
              status.leaving ||= when === "it turns out to be left";
            },
          };
          const asking = ask(status, answer);
          // Of two that take the same way the second has come to its end: by then the first has, too, if it does at all.
          for (const each of [asking, ask({ leaving: false, failedQuery: async () => {} }, answer)]) {
            await each.reached;
            if (answer === hangs) each.giveUp();
            if (each !== asking || when === "nothing is left") await each.over;
          }
          assert.ok(held);
          const { got } = asking;
          assert.equal(got, status.leaving ? "nothing" : outcome);
          if (when === "nothing is left") {
            assert.equal(asked, asks);
            assert.ok(held.closed, "the page need not wait for it any more");
          }
          if (asked) assert.equal(over, held);
        });
      }
    }
  });
}

for (const version of ["apollo3", "apollo4"]) {
  test(`the link above the watch's own fetch, in ${version}`, async (t) => {
    const { maintenanceLink, ApolloClient, HttpLink, BatchHttpLink, InMemoryCache, gql } = await load(t, version);
    // enter opens a tab whose queries go both ways; each is answered when the test says so.
    const enter = async (Link, store) => {
      const world = new World();
      const tab = world.tab();
      const { fetch } = tab.window;
      const sent = [];
      tab.window.fetch = (url, init) => url === statusUrl ? fetch(url, init)
        : new Promise((done, fail) => sent.push({ init, answer: (body, status) => says(body, status)().then(done), fail }));
      const watch = watchStatus({ statusUrl, window: tab.window });
      await world.pass(100);
      world.store = store;
      const client = new ApolloClient({
        cache: new InMemoryCache(),
        link: maintenanceLink(watch).concat(new Link({ uri: "https://demo.example.org/graphql", fetch: watch.fetch, batchInterval: 0 })),
      });
      const outcomes = [];
      const ask = (context) => {
        const i = outcomes.push("nothing") - 1;
        client.mutate({ mutation: gql("mutation m { app }"), fetchPolicy: "no-cache", context }).then(() => outcomes[i] = "data", (e) => outcomes[i] = (e.networkError ?? e).name);
      };
      return { world, tab, sent, outcomes, ask };
    };
    for (const Link of [HttpLink, BatchHttpLink]) {
      for (const [name, fail] of [["refused", (r) => r.answer({}, 503)], ["cut", (r) => r.fail(new TypeError("Failed to fetch"))]]) {
        await t.test(`${Link.name}: what is ${name} on the closed site has it leave at once`, async () => {
          const { tab, sent, outcomes, ask } = await enter(Link, offline);
          for (const context of Array(2).fill({ fetchOptions: { keepalive: true } })) ask(context); // with others they are no batch
          await until(() => sent.length === (Link === HttpLink ? 2 : 1));
          assert.ok(sent[0].init.keepalive, "the application's own options are kept");
          for (const request of sent) fail(request);
          await until(() => tab.gone); // in no time of its world
          await flush();
          assert.deepEqual(tab.gone, [page]);
          assert.deepEqual(outcomes, ["nothing", "nothing"]);
        });
      }
    }
    await t.test("what is under way beside it is waited for", async () => {
      const { world, tab, sent, outcomes, ask } = await enter(HttpLink, offline);
      ask();
      ask();
      await until(() => sent.length === 2);
      const polls = world.polls.length;
      sent[0].answer({}, 503);
      await until(() => world.polls.length > polls);
      await world.pass(1000);
      assert.equal(tab.gone, undefined);
      sent[1].answer({ data: { app: "demo" } });
      await until(() => outcomes[1] !== "nothing");
      assert.deepEqual(outcomes, ["nothing", "data"]);
      await world.pass(100);
      assert.deepEqual(tab.gone, [page]);
    });
    await t.test("on an open site failures are told", async () => {
      const { world, tab, sent, outcomes, ask } = await enter(HttpLink, document1({ seq: 3 }));
      ask();
      await until(() => sent.length === 1);
      sent[0].answer({}, 503);
      await until(() => outcomes[0] !== "nothing");
      assert.deepEqual(outcomes, ["ServerError"]);
      await world.pass(100);
      assert.equal(tab.gone, undefined);
    });
  });
}
