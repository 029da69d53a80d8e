// What nginx serves at /.conforma-status/sw.js where a site has no service worker: one that ends itself, and with it the one that a browser may
// have from before. Nothing else does: a 404 leaves that at work. An application's worker that imports it stays, and finds what it calls.
if (location.pathname === "/.conforma-status/sw.js") {
  addEventListener("install", () => skipWaiting());
  addEventListener("activate", (event) => event.waitUntil(registration.unregister()));
}
self.conformaStatus = { rescue: (url, answer) => answer };
