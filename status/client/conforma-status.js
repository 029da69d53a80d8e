/** See conforma-status.d.ts. */
export const watchStatus = ({
  statusUrl, isAdmin, onChange, onLeave, onWait, loginPath = "/login", every = 15000, window = globalThis,
}) => {
  const { fetch, setTimeout, clearTimeout, document, location, Date, Math } = window;
  const key = "conforma-status " + statusUrl;
  const channel = new window.BroadcastChannel(key);
  const listening = new AbortController();
  let timer, asking, urgent, told, notice, left, over, seq = 0, failures = 0, offset = 0;

  // What a callback throws becomes an unhandled rejection, and doesn't keep the page here.
  const tell = async (callback, ...args) => callback?.(...args);

  const closed = () => {
    const { mode } = self.status;
    return mode === "offline" || mode === "admin" && !isAdmin?.() && location.pathname !== loginPath;
  };

  // Who asked is the next to ask, before those that heard of it: all know within one interval.
  const plan = (share) => {
    clearTimeout(timer);
    timer = over || setTimeout(poll, every * (share + Math.random() / 10) << failures);
  };

  const leave = async (failed) => {
    notice ??= new AbortController();
    try {
      if (await tell(onLeave, self.status, failed, notice.signal) === false) return;
    } catch {}
    if (over || !closed()) return;
    over = self.leaving = true;
    notice.abort();
    location.replace(self.status.pageUrl + "#from=" + encodeURIComponent(location.href));
  };

  const hear = (got, failed) => {
    if (over) return;
    seq = got.seq;
    try {
      window.sessionStorage[key] = seq;
    } catch {}
    if (self.status?.seq !== (self.status = got).seq) tell(onChange, got);
    if (!closed()) notice = told = notice?.abort();
    else if (failed || told !== (told = got.mode + got.since)) left = leave(failed);
  };

  // Resolves to undefined when the status can't be reached, to false when what came is older than what is known.
  const ask = async (failed) => {
    try {
      const answer = await fetch(statusUrl, { cache: "no-cache", signal: AbortSignal.timeout(8000) });
      const got = answer.ok && await answer.json();
      if (got.version !== 1 || !/^https?:/.test(got.pageUrl)) throw 0;
      const { headers } = answer;
      offset = Date.parse(headers.get("date")) + 1000 * headers.get("age") - Date.now() || 0;
      failures = 0;
      if (got.seq < seq) return false;
      channel.postMessage([got, offset]);
      hear(got, failed);
      return true;
    } catch {
      failures += failures < 4;
    }
  };

  const start = (failed) => asking = ask(urgent = failed).finally(() => plan(.8, asking = 0));

  const poll = () => document.hidden || asking || over || start();

  const failedQuery = async (failure) => {
    // A poll that is under way may have missed what made the query fail.
    if (!urgent) await asking;
    const fresh = await (asking || start(true));
    if (fresh && closed()) {
      await left;
      return "maintenance";
    }
    if (fresh && self.status.mode === "admin") tell(onWait, self.status);
    const { name, type } = failure?.networkError ?? failure ?? {};
    return fresh == null && /^(TypeE|Net|Time|clo|err)/.test(name ?? type) ? "connection" : "trouble";
  };

  const self = {
    failedQuery,
    fetch: async (...request) => {
      let answer, failure;
      try {
        answer = await fetch(...request);
        const { status, headers } = answer;
        if (status && status < 500 && status !== 404 && !/html/.test(headers.get("content-type"))) return answer;
      } catch (e) {
        failure = e;
      }
      if (failure?.name !== "AbortError") await failedQuery(answer ?? failure);
      // An application might sign out on it.
      if (self.leaving) await new Promise(() => {});
      if (failure) throw failure;
      return answer;
    },
    now: () => Date.now() + offset,
    stop() {
      over = true;
      clearTimeout(timer);
      listening.abort(channel.close());
    },
  };

  try {
    seq = +window.sessionStorage[key] || 0;
  } catch {}
  channel.onmessage = ({ data: [got, ahead] }) => {
    if (document.hidden || got.seq < seq) return;
    failures = 0;
    offset = ahead;
    plan(.9);
    hear(got);
  };
  window.addEventListener("visibilitychange", poll, listening);
  window.addEventListener("online", poll, listening);
  poll();
  return self;
};
