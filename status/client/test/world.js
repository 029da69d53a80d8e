// A browser with tabs in a time of its own, for the client's tests, and for those of the maintenance page's way back.
import { readFileSync } from "node:fs";
import { watchStatus } from "../conforma-status.js";

const flush = () => new Promise(setImmediate);

export const document1 = (changes) => ({
  version: 1, site: "demo", mode: "online", seq: 1, since: "2026-11-22T21:15:00Z", expectedUntil: null, message: null, messages: null,
  next: null, appUrl: "https://demo.example.org", pageUrl: "https://maintenance.example.org/demo/", updatedAt: "2026-11-22T21:15:00Z",
  ...changes,
});

// A heap, for crowds.
class Timers {
  #heap = [];

  add(timer) {
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    for (let up; i > 0 && heap[up = i - 1 >> 1].at > timer.at; i = up) heap[i] = heap[up];
    heap[i] = timer;
  }

  // next takes out the first timer that is due by then.
  next(end) {
    const heap = this.#heap;
    while (heap.length && heap[0].at <= end) {
      const first = heap[0], last = heap.pop();
      if (heap.length) {
        let i = 0;
        for (let down; (down = 2 * i + 1) < heap.length; i = down) {
          if (down + 1 < heap.length && heap[down + 1].at < heap[down].at) down++;
          if (heap[down].at >= last.at) break;
          heap[i] = heap[down];
        }
        heap[i] = last;
      }
      if (!first.cleared) return first;
    }
  }
}

let pageScript;

export class World {
  time = Date.UTC(2026, 10, 22, 21, 20);
  timers = new Timers();
  tabs = [];
  polls = [];
  /** What the site itself was asked for: its status, and pages that tabs came back to. */
  visits = [];
  /** What the store answers: a document, an HTTP status, "down", or a function of these. */
  store = document1();
  serverAhead = 0;
  response = (body, init) => new Response(body, init);

  // runs what is due in the next so many milliseconds.
  async pass(ms) {
    const end = this.time + ms;
    await flush();
    for (;;) {
      const timer = this.timers.next(end);
      if (!timer) break;
      this.time = Math.max(this.time, timer.at);
      if (timer.tab.frozen) timer.tab.held.push(timer);
      else timer.f();
      await flush();
    }
    this.time = end;
    await flush();
  }

  tab({ random = Math.random, path = "/applications/7?tab=2#part", storage = {} } = {}) {
    const world = this;
    const listeners = [];
    const tab = {
      hidden: false, gone: undefined, channel: undefined, frozen: false, held: [],
      fire(type) {
        for (const l of listeners) if (l.type === type) l.f();
      },
      hide(hidden) {
        tab.hidden = hidden;
        tab.fire("visibilitychange");
      },
      // A frozen tab runs nothing: its timers are late when it thaws. What it was told meanwhile is lost here.
      freeze() { tab.frozen = true; },
      thaw() {
        tab.frozen = false;
        for (const timer of tab.held.splice(0)) world.timers.add(timer);
      },
    };
    const url = new URL(path, "https://demo.example.org");
    tab.window = {
      document: { get hidden() { return tab.hidden; } },
      location: { href: url.href, pathname: url.pathname, replace: (to) => (tab.gone ??= []).push(to) }, // and is still there: nothing unloads
      sessionStorage: storage,
      Date: { parse: Date.parse, now: () => world.time },
      Math: { random },
      ...this.#clock(tab),
      addEventListener: (type, f) => listeners.push({ type, f }),
      BroadcastChannel: class {
        constructor(name) {
          this.name = name;
          tab.channel = this;
        }
        postMessage(data) {
          if (tab.channel !== this) throw new DOMException("Channel is closed", "InvalidStateError");
          for (const other of world.tabs) {
            if (other !== tab && !other.frozen && other.channel?.name === this.name) other.channel.onmessage?.({ data: structuredClone(data) });
          }
        }
        close() { tab.channel = undefined; }
      },
      fetch: (to, options) => this.#answer(tab, to, options),
    };
    this.tabs.push(tab);
    return tab;
  }

  // page opens the maintenance page itself, site/theme/page.js, with as much around it as that needs; from is where
  // its visitor was.
  page({ random = Math.random, from = "https://demo.example.org/applications/7", status = "status.json" } = {}) {
    const tab = { gone: undefined, frozen: false, held: [] };
    const element = () => ({ textContent: "", hidden: false, dataset: { status, words: "{}", login: "" }, href: "https://demo.example.org/", replaceChildren() {}, toggleAttribute() {} });
    const elements = {};
    const around = {
      ...this.#clock(tab),
      document: {
        hidden: false, title: "", documentElement: { lang: "en", dataset: {} },
        getElementById: (id) => elements[id] ??= element(), querySelector: element, createElement: element,
        querySelectorAll: () => [], addEventListener() {},
      },
      location: {
        hash: "#from=" + encodeURIComponent(from),
        replace: (to) => {
          this.visits.push({ tab, at: this.time, to });
          (tab.gone ??= []).push(to);
          tab.frozen = true; // for good
        },
      },
      navigator: { languages: ["en"] },
      sessionStorage: {}, localStorage: {},
      Date: { parse: Date.parse, now: () => this.time },
      Math: { ...Object.fromEntries(["abs", "ceil", "floor", "max", "min"].map((f) => [f, Math[f]])), random },
      setInterval() {}, addEventListener() {},
      // Words don't matter here, and real formats take most of the time.
      JSON: { parse: () => Array(40).fill("words") },
      Intl: Object.fromEntries(["DateTimeFormat", "NumberFormat", "ListFormat"].map((f) => [f, () => ({
        format: () => "text", formatRange: () => "text", formatToParts: () => [{ type: "timeZoneName", value: "zone" }], resolvedOptions: () => ({}),
      })])),
      fetch: (to, options) => this.#answer(tab, to, options),
    };
    pageScript ??= new Function(...Object.keys(around), readFileSync(new URL("../../../site/theme/page.js", import.meta.url), "utf8"));
    pageScript(...Object.values(around));
    return tab;
  }

  #clock(tab) {
    return {
      setTimeout: (f, ms) => {
        const timer = { at: this.time + ms, f, tab };
        this.timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        if (timer) timer.cleared = true;
      },
    };
  }

  async #answer(tab, to, options) {
    const own = to.includes("/.conforma-status/");
    (own ? this.visits : this.polls).push({ tab, at: this.time, to, options });
    const store = typeof this.store === "function" ? await this.store() : this.store;
    if (store === "down") throw new TypeError("Failed to fetch");
    const headers = { date: new Date(this.time + this.serverAhead).toUTCString() };
    if (typeof store === "number") return this.response("<!doctype html>", { status: store, headers });
    return this.response(typeof store === "string" ? store : JSON.stringify(store), { headers });
  }
}

export { flush };

// What the tests share: one site's addresses and statuses, the failures of a query, and a tab that watches.
export const statusUrl = "https://maintenance.example.org/demo/status.json";
export const every = 15000;
export const page = "https://maintenance.example.org/demo/#from=" + encodeURIComponent("https://demo.example.org/applications/7?tab=2#part");
export const offline = document1({ mode: "offline", seq: 2 });
export const admin = document1({ mode: "admin", seq: 2 });

export const networkError = new TypeError("Failed to fetch");
export const apollo3 = { name: "ApolloError", networkError: { name: "ServerError", statusCode: 503 } };

export const open = (world, options, tabOptions) => {
  const tab = world.tab(tabOptions);
  tab.watch = watchStatus({ statusUrl, window: tab.window, ...options });
  return tab;
};
