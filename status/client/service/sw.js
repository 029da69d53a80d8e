// The service worker of a site, which nginx serves at /.conforma-status/sw.js. It has nobody see a browser's error page while the site's
// host is off. It caches nothing, and what it can't help with stays as it is.
(() => {
  const hungAfter = 4000; // ms
  const statusTimeout = 4000; // ms

  /** Whether the application's host failed: a gateway's answer, of nginx or of one before it (52x), that isn't a closed site's. */
  const isFailure = (answer) => /5(0[234]|2.)/.test(answer.status) && !answer.headers.has("X-Conforma-Status");

  /** The way to the page, where the status, read afresh, says that the site is closed. */
  const wayToPage = async (url) => {
    try {
      const answer = await fetch("{STATUS_URL}", { cache: "no-cache", signal: AbortSignal.timeout(statusTimeout) });
      const { version, mode, pageUrl } = await answer.json();
      if (version === 1 && /admin|offline/.test(mode) && /^https?:/.test(pageUrl)) {
        return Response.redirect(pageUrl + "#from=" + encodeURIComponent(url));
      }
    } catch {} // nobody is moved, then
  };

  // An application's own worker calls it with what it asks the network for.
  const rescue = async (url, answer) => {
    const failed = answer.then(isFailure, () => true);
    const hung = new Promise((done) => setTimeout(done, hungAfter, 2));
    const first = await Promise.race([failed, hung]);
    return first && await wayToPage(url) || first > 1 && await failed && await wayToPage(url) || answer;
  };

  // Imported by an application's worker, it is there for what that leaves alone.
  if (location.pathname === "/.conforma-status/sw.js") {
    addEventListener("install", (event) => {
      skipWaiting();
      // Where the browser can, it asks the network while the worker starts, and has nothing else come here.
      event.addRoutes?.([
        { condition: { requestMethod: "GET", requestDestination: "document" }, source: "race-network-and-fetch-handler" },
        { condition: { urlPattern: new URLPattern({}) }, source: "network" },
      ]).catch(() => {});
    });
  }
  addEventListener("fetch", (event) => {
    const { request } = event;
    if (request.method === "GET" && request.destination === "document") event.respondWith(rescue(request.url, fetch(request)));
  });
  self.conformaStatus = { rescue };
})();
