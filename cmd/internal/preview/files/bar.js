(async () => {
  "use strict";
  const { elements: bar } = document.getElementById("bar");
  const page = document.getElementById("page");
  const fault = document.getElementById("fault");
  const remark = document.getElementById("remark");
  const keep = "conforma-status preview";
  let sites = [];

  const options = (select, values, words = (v) => v) => {
    const was = select.value;
    select.replaceChildren(...values.map((v) => new Option(words(v), v)));
    if (values.includes(was)) select.value = was;
  };

  const site = () => sites.find((s) => s.name === bar.site.value) ?? sites[0];

  const show = () => {
    const { path, languages } = site();
    options(bar.language, languages);
    page.style.width = bar.width.value;
    // The main page would hand over to the language that this browser asks for.
    localStorage["conforma-status language"] = bar.language.value;
    // In a sandbox without scripts the page is as it is without JavaScript.
    if (bar.script.checked) page.removeAttribute("sandbox");
    else page.setAttribute("sandbox", "allow-same-origin");
    page.src = "/" + [path, bar.language.value === languages[0] ? "" : bar.language.value].filter(Boolean).map((p) => p + "/").join("");
  };

  const choose = async () => {
    const state = { mode: bar.mode.value, end: bar.end.value, message: bar.message.value };
    sessionStorage[keep] = JSON.stringify(state);
    await fetch("/.preview/status", { method: "PUT", body: JSON.stringify(state) });
    show();
  };

  document.getElementById("bar").addEventListener("change", choose);
  try {
    for (const [name, value] of Object.entries(JSON.parse(sessionStorage[keep] ?? "{}"))) bar[name].value = value;
  } catch {}

  new EventSource("/.preview/events").onmessage = async ({ data }) => {
    const [wrong, remarks] = JSON.parse(data);
    fault.textContent = wrong;
    fault.hidden = !wrong;
    remark.textContent = remarks ?? "";
    remark.hidden = !remarks;
    sites = await (await fetch("/.preview/sites")).json();
    options(bar.site, sites.map((s) => s.name));
    await choose();
  };
})();
