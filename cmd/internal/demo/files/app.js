(() => {
  "use strict";
  const every = 3000; // ms between two queries
  const $ = (id) => document.getElementById(id);
  const tokenKey = "persistJWT"; // as Conforma keeps it

  const claims = () => {
    try {
      return JSON.parse(atob(localStorage.getItem(tokenKey).split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    } catch {
      return null;
    }
  };

  // post resolves to the answer's JSON, and shows whatever kept it from coming.
  const post = async (url, data) => {
    const headers = { "Content-Type": "application/json" };
    const token = localStorage.getItem(tokenKey);
    if (token) headers.Authorization = "Bearer " + token;
    let answer, text = "", body;
    try {
      answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(data) });
      text = await answer.text();
      body = JSON.parse(text);
    } catch {
      // what there is of an answer is shown below
    }
    const good = answer?.ok && body;
    show(good ? null : { answer, text, body });
    return good ? body : null;
  };

  const show = (refused) => {
    $("refused").hidden = !refused;
    if (!refused) return;
    const { answer, text, body } = refused;
    const maintenance = body?.error === "maintenance";
    $("refused-title").textContent = maintenance ? "Closed for maintenance" : "That didn’t work";
    $("refused-status").textContent = !answer ? "nothing" :
      answer.status + (answer.headers.has("Retry-After") ? ", Retry-After " + answer.headers.get("Retry-After") : "");
    $("refused-body").textContent = text;
    $("refused-page").parentNode.hidden = !maintenance;
    if (maintenance && /^https?:/.test(body.pageUrl)) $("refused-page").href = body.pageUrl;
  };

  const query = async (operationName, query, variables) =>
    (await post("/server/graphql?dev=" + operationName, { operationName, query, variables }))?.data;

  const refresh = async () => {
    const data = await query("getApplications", "query getApplications { applications { id name savedBy } }");
    if (!data) return;
    $("count").textContent = data.applications.length;
    $("list").replaceChildren(...data.applications.map(({ id, name, savedBy }) => {
      const item = document.createElement("li");
      const by = document.createElement("small");
      by.textContent = "saved by " + (savedBy ?? "a visitor");
      item.append(id + ". " + name, by);
      return item;
    }));
  };

  const signedIn = () => {
    const user = claims();
    $("who").textContent = user ? user.username + (user.isAdmin ? " (administrator)" : "") : "";
    $("out").hidden = !user;
    $("sign-in").hidden = location.pathname !== "/login" || Boolean(user);
  };

  $("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await post("/server/api/public/login", Object.fromEntries(new FormData(event.target)));
    if (!answer) return;
    $("login-failed").hidden = answer.success;
    if (!answer.success) return;
    localStorage.setItem(tokenKey, answer.JWT);
    signedIn();
    refresh();
  });

  $("out").addEventListener("click", () => {
    localStorage.removeItem(tokenKey);
    signedIn();
  });

  $("save").addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = await query("saveApplication",
      "mutation saveApplication($name: String!) { saveApplication(name: $name) { id name savedBy } }",
      { name: event.target.elements.name.value });
    $("saved").textContent = data ? "Saved as number " + data.saveApplication.id + "." : "Not saved.";
    if (!data) return;
    event.target.reset();
    refresh();
  });

  const poll = async () => {
    if (!document.hidden) await refresh();
    setTimeout(poll, every);
  };

  signedIn();
  poll();
})();
