(() => {
  const say = (text) => { document.getElementById("say").textContent = text; };
  const enter = async () => {
    const secret = location.hash.slice(1);
    // Out of the address bar and the history, before anything else.
    history.replaceState(null, "", location.pathname);
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
