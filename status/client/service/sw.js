// The service worker of a site, which nginx serves at /.conforma-status/sw.js. It has nobody see a browser's error page while the site's
// host is off. It caches nothing, and what it can't help with stays as it is.
((left) => { // the page that is left to the browser, next
  const hungAfter = 4000; // ms
  const statusTimeout = 4000; // ms

  /** The way to the page, where the status, read afresh, says that the site is closed. Else nobody is moved. */
  const wayToPage = (url) => fetch("{STATUS_URL}", { cache: "no-cache", signal: AbortSignal.timeout(statusTimeout) })
    .then((answer) => answer.json())
    .then(({ version, mode, pageUrl }) => version === 1 && /admin|offline/.test(mode) && /^https?:/.test(pageUrl) &&
      Response.redirect(pageUrl + "#from=" + encodeURIComponent(url)))
    .catch(() => {});

  // An application's own worker calls it with what it asks the network for.
  const rescue = async (url, answer) => {
    // Whether the application's host failed: no answer, or a gateway's, of nginx or of one before it (52x), that isn't a closed site's.
    const failed = answer.then(({ status, headers }) => /5(0[234]|2.)/.test(status) && !headers.has("X-Conforma-Status"), () => true);
    const first = await Promise.race([failed, new Promise((done) => setTimeout(done, hungAfter, 2))]);
    return first && await wayToPage(url) || first > 1 && await failed && await wayToPage(url) || answer;
  };

  // Imported by an application's worker, which is at another place, it is there for what that leaves alone.
  if (location.pathname[1] == ".") {
    addEventListener("install", (event) => {
      skipWaiting();
      // Where the browser can, it asks the network while the worker starts, and has nothing else come here.
      event.addRoutes?.([
        { condition: { requestMethod: "GET", requestDestination: "document" }, source: "race-network-and-fetch-handler" },
        { condition: { urlPattern: new URLPattern({}) }, source: "network" },
      ]);
    });
  }
  addEventListener("fetch", (event) => {
    const { request } = event;
    if (request.method != "GET" || request.destination != "document") return;
    if (request.url == left) left = 0;
    // A failure that stands is the browser's to meet, without us: Firefox ends a worker that has let three pages fail.
    else event.respondWith(rescue(request.url, fetch(request)).catch(() => Response.redirect(left = request.url)));
  });
  self.conformaStatus = { rescue };
})();
