/** See conforma-status.d.ts. */
export const watchStatus = ({
  statusUrl, isAdmin, onChange, onLeave, onWait, loginPath = "/login", every = 15000, window = globalThis,
}) => {
  const { fetch, setTimeout, clearTimeout, document, location, Date, Math } = window;
  const channel = new window.BroadcastChannel(statusUrl);
  const listening = new AbortController();
  let timer, asking, told, notice, left, over, seq = 0, failures = 0, offset = 0;

  // What a callback throws becomes an unhandled rejection, and doesn't keep the page here.
  const tell = async (callback, ...args) => callback?.(...args);

  const closed = () => self.status.mode === "offline" ||
    self.status.mode === "admin" && !isAdmin?.() && location.pathname !== loginPath;

  // Who asked is the next to ask, before those that heard of it: all know within one interval.
  const plan = (share) => {
    clearTimeout(timer);
    timer = !over && setTimeout(poll, every * (share + Math.random() / 10) << failures);
  };

  const leave = async (failed) => {
    notice ??= new AbortController();
    const goes = await tell(onLeave, self.status, failed, notice.signal).catch(() => {});
    if (goes === false || over || !closed()) return;
    over = self.leaving = true;
    notice = notice.abort();
    location.replace(self.status.pageUrl + "#from=" + encodeURIComponent(location.href));
    // Whoever is still here by then was asked by the application's beforeunload, and wouldn't go.
    setTimeout(() => plan(.8, over = over > 1, self.leaving = false), 30000);
  };

  const hear = (got, ahead, failed) => {
    if (over) return;
    failures = 0;
    offset = ahead;
    seq = got.seq;
    try {
      window.sessionStorage[statusUrl] = seq;
    } catch {}
    if (self.status?.seq !== (self.status = got).seq) tell(onChange, got, self.now);
    if (!closed()) notice = told = notice?.abort();
    else if (failed || told !== (told = got.mode + got.since)) left = leave(failed);
  };

  // Resolves to undefined when the status can't be reached, to false when what came is older than what is known.
  const ask = async (failed) => {
    let fresh;
    try {
      const answer = await fetch(statusUrl, { cache: "no-cache", signal: AbortSignal.timeout(8000) });
      const got = answer.ok && await answer.json();
      if (got.version !== 1 || !/^http/.test(got.pageUrl)) throw 0;
      const ahead = Date.parse(answer.headers.get("date")) + 1000 * answer.headers.get("age") - Date.now() || 0;
      // Set last: after stop the closed channel throws, and nothing is made of what came.
      fresh = got.seq >= seq && (channel.postMessage([got, ahead]), hear(got, ahead, failed), true);
    } catch {
      failures += failures < 4;
    }
    plan(.8);
    return fresh;
  };

  const poll = () => document.hidden || over || ask();

  const failedQuery = async (failure) => {
    // Not the poll that is under way: it may have missed what made the query fail, or hang.
    const fresh = await (asking ??= ask(true).finally(() => asking = null));
    if (fresh && closed()) {
      await left;
      return "maintenance";
    }
    const e = failure?.networkError ?? failure ?? {};
    const facts = [e.name, e.type, e.code, e.status, e.statusCode];
    if (fresh && self.status.mode === "admin" && !/4..|50[^3]/.test(facts)) tell(onWait, self.status);
    return fresh == null && /TypeE|Net|Time|clo|err|ERR_N|ECON/.test(facts) ? "connection" : "trouble";
  };

  const self = {
    failedQuery,
    fetch: async (...request) => {
      const answer = fetch(...request);
      const failure = await answer.then(
        (a) => /^(0|404|5..),|html/.test([a.status, a.headers.get("content-type")]) && a,
        (e) => e?.name !== "AbortError" && e,
      );
      if (failure) await failedQuery(failure);
      // An application might sign out on it.
      if (self.leaving) await new Promise(() => {});
      return answer;
    },
    now: () => Date.now() + offset,
    stop() {
      plan(over = 2);
      channel.close();
      listening.abort();
      notice?.abort();
    },
  };

  try {
    seq = +window.sessionStorage[statusUrl] || 0;
  } catch {}
  channel.onmessage = ({ data: [got, ahead] }) => {
    document.hidden || got.seq < seq || plan(.9, hear(got, ahead));
  };
  window.addEventListener("visibilitychange", poll, listening);
  window.addEventListener("online", poll, listening);
  poll();
  return self;
};
