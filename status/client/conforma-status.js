/**
 * The front end's part of conforma-status: asks a site's status.json, leaves for the maintenance page when the site
 * closes, and moves nobody by mistake. What an application may rely on is in conforma-status.d.ts.
 *
 * @import { HeldRequest, Status, Verdict, Watch } from "./conforma-status.d.ts"
 */

/** What names a failure to reach anything: TypeError, AxiosError's ERR_NETWORK and ECONNABORTED, events of XMLHttpRequest and WebSocket. */
const unreached = /TypeError|network|timeout|aborted|\berror|close/i;

/**
 * The answer, if it may come of a closed site: a redirect that fetch doesn't follow, nothing there, a server's error,
 * or a page where there should be data.
 * @param {Response} answer
 */
const suspicious = (answer) => (
  /^0|^404|^5|html/.test(answer.status + /** @type {any} */ (answer.headers.get("content-type")))
) && answer;

/** @type {typeof import("./conforma-status.d.ts").watchStatus} */
export const watchStatus = ({
  statusUrl, isAdmin, onChange, onLeave, onWait, loginPath = "/login", every = 15000, window = globalThis,
}) => {
  const { fetch, setTimeout, clearTimeout, document, location, Date } = window;

  // Outside a browser, where pages are rendered ahead, nothing is watched.
  let stopped = !document;
  let newestSeq = 0;
  let clockOffset = 0;
  let failedAsks = 0;
  /** Ends what is shown because the page is to be left. */
  let notice = new AbortController();
  /** @type {any} */
  let pollTimer;
  /** The asking that failed queries share. @type {Promise<boolean | undefined> | undefined} */
  let asking;
  /** The closing that the application has been told of. @type {string | false} */
  let announced;
  /** The newest departure, which the visitor or the application may still prevent. @type {Promise<void> | undefined} */
  let departure;
  /** Ends with the requests that the page waits for before it is left. @type {Promise<void> | undefined} */
  let lastRequests;

  /** What the page waits for before it is left. @type {Set<Promise<Response> & { closed?: undefined } | HeldRequest>} */
  const requests = new Set();
  const channel = document && new window.BroadcastChannel(statusUrl);

  const endNotice = () => {
    notice.abort();
    notice = new AbortController();
  };

  /** How many there are; those that are over are forgotten. */
  const countRequests = () => {
    for (const request of requests) if (request.closed) requests.delete(request);
    return requests.size;
  };

  // nginx drops a request whose page is left, and the application may still act on it.
  const requestsEnd = async () => {
    const end = Date.now() + 10000;
    while (countRequests() && Date.now() < end && !isIdle() && isClosed()) {
      await new Promise((/** @type {(value?: unknown) => void} */ done) => setTimeout(done, 50));
    }
  };

  // What a callback throws becomes an unhandled rejection, and doesn't keep the page here.
  /** @param {((...args: any[]) => unknown) | undefined} callback @param {unknown[]} args */
  const call = async (callback, ...args) => callback?.(...args);

  const isIdle = () => stopped || watch.leaving;

  /** Whether the site is closed for who is here. */
  const isClosed = () => {
    const { mode } = /** @type {Status} */ (watch.status);
    if (mode === "admin") return !isAdmin?.() && location.pathname !== loginPath;
    return mode === "offline";
  };

  // Who asked is the next to ask, before those that heard of it: all know within one interval.
  /** @param {number} share */
  const schedulePoll = (share) => {
    clearTimeout(pollTimer);
    if (!isIdle()) pollTimer = setTimeout(poll, every * (share + window.Math.random() / 10) << failedAsks);
  };

  const poll = () => {
    if (!document.hidden && !isIdle()) ask();
  };

  /** @type {Watch["hold"]} */
  const hold = (request, operation) => {
    countRequests(); // or all that ever were would be kept
    // HttpLink hands these to its fetch, which may be the watch's, and would wait for what waits for it.
    operation?.setContext(({ fetchOptions }) => ({ fetchOptions: { ...fetchOptions, held: true } }));
    const isEndless = operation?.query.definitions.some((/** @type {any} */ part) => part.operation === "subscription");
    if (!isEndless) requests.add(request);
  };

  /** @param {boolean} [failed] whether a query has failed already */
  const leave = async (failed) => {
    const answer = await call(onLeave, watch.status, failed, notice.signal).catch(() => {});
    if (answer === false) return;
    await (lastRequests = requestsEnd());
    if (isIdle() || !isClosed()) return;
    watch.leaving = true;
    endNotice();
    location.replace(/** @type {Status} */ (watch.status).pageUrl + "#from=" + encodeURIComponent(location.href));
    // Who is still here by then was asked by the application's beforeunload, and stayed.
    setTimeout(() => {
      watch.leaving = false;
      schedulePoll(.8);
    }, 30000);
  };

  /**
   * @param {Status} status
   * @param {number} offset by how many ms the server's clock is ahead
   * @param {boolean} [failed] whether it was asked for because a query has failed
   */
  const hear = (status, offset, failed) => {
    if (isIdle()) return;
    clockOffset = offset;
    newestSeq = status.seq;
    try {
      /** @type {any} */ (window.sessionStorage)[statusUrl] = status.seq;
    } catch {} // it may be forbidden
    const known = watch.status;
    watch.status = status;
    if (known?.seq !== status.seq) {
      call(onChange, status, watch.now);
      if (status.serviceWorker) import("./worker.js").catch(() => {});
    }
    const closing = isClosed() && status.mode + status.since;
    if (!closing) endNotice();
    else if (failed || closing !== announced) departure = leave(failed);
    announced = closing;
  };

  /**
   * Resolves to whether what came is at least as new as all that is known.
   * @param {boolean} [failed] whether a query has failed
   */
  const ask = async (failed) => {
    let isStatus, isNewest;
    try {
      const answer = await fetch(statusUrl, { cache: "no-cache", signal: AbortSignal.timeout(8000) });
      const status = answer.ok && await answer.json();
      // A cache says for how long it has had the answer.
      const serverTime = Date.parse(/** @type {any} */ (answer.headers.get("date"))) + 1000 * /** @type {any} */ (answer.headers.get("age"));
      const offset = serverTime - Date.now() || 0;
      isStatus = status.version === 1 && /^http/.test(status.pageUrl);
      isNewest = isStatus && !stopped && status.seq >= newestSeq;
      if (isNewest) {
        channel.postMessage([status, offset]);
        hear(status, offset, failed);
      }
    } catch {}
    // Where it can't be had it is asked for half as often each time, down to once in 16 intervals.
    if (isStatus) failedAsks = 0;
    else if (failedAsks < 4) failedAsks++;
    if (failed) asking = undefined;
    schedulePoll(.8);
    return isNewest;
  };

  /** @type {(failure: any, request?: any) => Promise<Verdict>} */
  const failedQuery = async (failure, request) => {
    requests.delete(request); // it is over, and its verdict must not wait for it
    await lastRequests; // nobody is told of a failure meanwhile
    // Not the poll that is under way: it may have missed what made the query fail, or hang.
    const isFresh = !stopped && await (asking ??= ask(true));
    if (isFresh && isClosed()) await departure;
    if (isFresh && isClosed()) return "maintenance"; // it may have opened meanwhile
    const { name, type, code, status, statusCode = status } = failure?.networkError || failure || {};
    // A WebSocket's codes from 3000 on are the application's, those below are the protocol's (RFC 6455, 7.4.2).
    const isFromApplication = code >= 3000 || statusCode >= 400 && statusCode !== 503;
    if (isFresh && /** @type {Status} */ (watch.status).mode === "admin" && !isFromApplication) call(onWait, watch.status);
    return (stopped || failedAsks) && unreached.test(`${name} ${type} ${code}`) ? "connection" : "trouble";
  };

  /** @type {Watch["fetch"]} */
  const watchedFetch = async (input, init) => {
    const answer = fetch(input, init);
    if (/** @type {any} */ (init)?.held) return answer; // the link sees what comes of it
    requests.add(answer);
    const failure = await answer.then(suspicious, (error) => error?.name !== "AbortError" && error);
    requests.delete(answer);
    if (failure) await failedQuery(failure);
    // Once the page is being left nobody is told of anything: an application might sign out on it.
    return watch.leaving ? new Promise(() => {}) : answer;
  };

  /** @type {{ -readonly [key in keyof Watch]: Watch[key] }} */
  const watch = {
    failedQuery,
    fetch: watchedFetch,
    hold,
    now: () => Date.now() + clockOffset,
    stop() {
      stopped = true;
      clearTimeout(pollTimer);
      channel?.close();
      endNotice();
    },
  };

  if (channel) {
    try {
      newestSeq = /** @type {any} */ (window.sessionStorage)[statusUrl] ?? 0;
    } catch {} // it may be forbidden
    channel.onmessage = ({ data: [status, offset] }) => {
      if (!document.hidden && status.seq >= newestSeq) {
        hear(status, offset);
        schedulePoll(.9);
      }
    };
    window.addEventListener("visibilitychange", poll);
    window.addEventListener("online", poll);
    poll();
  }
  return watch;
};
