// A browser with tabs in a time of its own, for the client's tests.

const flush = () => new Promise(setImmediate);

export const document1 = (changes) => ({
  version: 1, site: "demo", mode: "online", seq: 1, since: "2026-11-22T21:15:00Z", expectedUntil: null, message: null, messages: null,
  next: null, appUrl: "https://demo.example.org", pageUrl: "https://maintenance.example.org/demo/", updatedAt: "2026-11-22T21:15:00Z",
  ...changes,
});

export class World {
  time = Date.UTC(2026, 10, 22, 21, 20);
  timers = [];
  tabs = [];
  polls = [];
  /** What the store answers: a document, an HTTP status, "down", or a function of these. */
  store = document1();
  serverAhead = 0;

  // runs what is due in the next so many milliseconds.
  async pass(ms) {
    const end = this.time + ms;
    await flush();
    for (;;) {
      this.timers.sort((a, b) => a.at - b.at);
      if (!this.timers.length || this.timers[0].at > end) break;
      const timer = this.timers.shift();
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
        for (const l of listeners) if (l.type === type && !l.signal?.aborted) l.f();
      },
      hide(hidden) {
        tab.hidden = hidden;
        tab.fire("visibilitychange");
      },
      // A frozen tab runs nothing: its timers are late when it thaws. What it was told meanwhile is lost here.
      freeze() { tab.frozen = true; },
      thaw() {
        tab.frozen = false;
        world.timers.push(...tab.held.splice(0));
      },
    };
    const url = new URL(path, "https://demo.example.org");
    tab.window = {
      document: { get hidden() { return tab.hidden; } },
      location: { href: url.href, pathname: url.pathname, replace: (to) => (tab.gone ??= []).push(to) }, // and is still there: nothing unloads
      sessionStorage: storage,
      Date: { parse: Date.parse, now: () => world.time },
      Math: { random },
      setTimeout: (f, ms) => {
        const timer = { at: world.time + ms, f, tab };
        world.timers.push(timer);
        return timer;
      },
      clearTimeout: (timer) => world.timers = world.timers.filter((t) => t !== timer),
      addEventListener: (type, f, { signal }) => listeners.push({ type, f, signal }),
      BroadcastChannel: class {
        constructor(name) {
          this.name = name;
          tab.channel = this;
        }
        postMessage(data) {
          for (const other of world.tabs) {
            if (other !== tab && !other.frozen && other.channel?.name === this.name) other.channel.onmessage?.({ data: structuredClone(data) });
          }
        }
        close() { tab.channel = undefined; }
      },
      fetch: async (to, options) => {
        world.polls.push({ tab, at: world.time, to, options });
        const store = typeof world.store === "function" ? await world.store() : world.store;
        if (store === "down") throw new TypeError("Failed to fetch");
        const headers = new Headers({ date: new Date(world.time + world.serverAhead).toUTCString() });
        if (typeof store === "number") return new Response("<!doctype html>", { status: store, headers });
        return new Response(typeof store === "string" ? store : JSON.stringify(store), { headers });
      },
    };
    this.tabs.push(tab);
    return tab;
  }
}

export { flush };
