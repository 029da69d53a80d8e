/**
 * Has the browser keep the site's service worker, which nginx serves: with it, who comes while the site's host is off
 * finds the maintenance page. Loaded by the client where the status says that the site has one.
 */
const register = async () => {
  const workers = navigator.serviceWorker; // in a secure context only
  const registrations = await workers.getRegistrations();
  // Registered for the whole site, it would take the place of another one there, such as the application's own.
  if (registrations.some(({ scope }) => new URL(scope).pathname === "/")) return;
  await workers.register("/.conforma-status/sw.js", { scope: "/" });
};

register().catch(() => {}); // with the next page, then

export {}; // a module, and nothing for others
