(() => {
  const say = (text) => { document.getElementById("say").textContent = text; };

  // An address of this site, whatever it is given.
  const own = (path) => path?.startsWith("/") ? location.origin + path : location.origin + "/";

  // back takes an administrator from the maintenance page to where they were: an open tab has no cookie yet, but the token
  // that the application keeps. Its page is asked for with that, which brings the cookie. Who isn't let in by it logs in;
  // Conforma's router finds in the state of the history where to go then.
  const back = async (login, at) => {
    document.querySelector("h1").hidden = true; // it is no pass
    try {
      const token = localStorage.persistJWT;
      const answer = token && await fetch(own(at), {
        headers: { Authorization: "Bearer " + token }, cache: "no-store", referrerPolicy: "same-origin", signal: AbortSignal.timeout(10000),
      });
      if (answer && !answer.headers.has("X-Conforma-Status")) return location.replace(own(at));
    } catch {}
    history.replaceState(at ? { key: "at", state: { from: at } } : null, "", own(login));
    location.reload();
  };

  const enter = async () => {
    const secret = location.hash.slice(1);
    // Out of the address bar and the history, before anything else.
    history.replaceState(null, "", location.pathname);
    const given = new URLSearchParams(secret);
    if (given.has("login")) return back(given.get("login"), given.get("at"));
    if (!secret) return say("This link is not complete: open it as it was sent to you.");
    say("One moment\u2026");
    let status = 0;
    try {
      status = (await fetch(location.pathname, { method: "POST", body: secret, cache: "no-store", redirect: "manual" })).status;
    } catch {}
    if (status === 204) location.replace("/");
    else if (status === 403) say("This pass is not good, or not any more: ask whoever sent it for a new one.");
    else say("There was no answer: open the link again in a moment.");
  };
  addEventListener("hashchange", () => location.hash && enter());
  enter();
})();
