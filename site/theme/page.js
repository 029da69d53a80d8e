
(() => {
  const every = 15000; // ms between two questions
  const patience = 10000; // ms to wait for an answer
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;
  if (root.hidden) return; // by language.js, which has left

  const get = (url) => fetch(url, { cache: "no-cache", credentials: "omit", signal: AbortSignal.timeout(patience) });

  // Shown at the address that was asked for, it has the status there, and what comes back is that address.
  const { status } = $("now").dataset;
  const inPlace = status[0] === "/";
  const way = inPlace ? "#at=" + location.pathname + location.search + location.hash : location.hash;

  const base = (tag) => tag.split("-")[0];
  const same = (a, b) => a.toLowerCase() === b.toLowerCase();
  for (const a of document.querySelectorAll("nav a")) {
    a.hash = way; // the way back goes along
    a.addEventListener("click", () => {
      try {
        localStorage["conforma-status language"] = a.hreflang; // language.js goes by it
      } catch {
        // for this time only, then
      }
    });
  }

  const heading = $("title").textContent;
  const tab = document.title;
  // What the page says, in the order of its names in the content.
  const [
    adminText, askingText, backText, closedText, inText, lateText, laterText, missedText, momentText, nextText, noneText, openText, openedText,
    overText, plannedText, reopenedText, sinceText, soonText, staleText, tabText, tryText, unknownText, welcomeText, zoneText,
  ] = JSON.parse($("now").dataset.words);
  // Where what is put in ends in a full stop itself, as "a. m." does, there is no second one.
  // In a right-to-left page either may be in the other direction, and keeps its own.
  const [first, last] = root.dir === "rtl" ? ["\u2068", "\u2069"] : ["", ""];
  const put = (text, value) => text.replace(/\{\w+\}(\.?)/, (_, stop) => first + value + last + (value.endsWith(".") ? "" : stop));

  // Made here, for a reader that knows nothing of hidden must not have it.
  const [before, login, after] = adminText.split(/[[\]]/);
  const link = document.createElement("a");
  link.textContent = login;
  $("admin").replaceChildren(before, link, after);

  // The sentences are in the page's language, so dates are too; region and clock are the reader's own.
  const locale = navigator.languages.find((l) => base(l) === base(root.lang)) ?? root.lang;
  const { hourCycle } = Intl.DateTimeFormat([], { hour: "numeric" }).resolvedOptions();
  const format = (t, options) => Intl.DateTimeFormat(locale, options).format(t);

  let doc; // the newest status document
  let why; // the next window, as the schedule has it
  let heard; // when it was last confirmed, by the server's clock
  let failing = 0; // how often it couldn't be had, up to two
  let asking = false;
  let offset = 0; // the server's clock less this one, in ms
  let timer;

  const now = () => Date.now() + offset;

  // Where the visitor was, as nginx (at: a path, word for word) or the client (from: an address) wrote it into the fragment,
  // which reaches no log. Where nginx wrote none, for the site's own address, a browser keeps the visitor's own fragment (RFC
  // 9110, 10.2.2). Nothing but what begins with the site's own origin, written in at build time, is believed: a blob: URL has
  // that origin too, and leads nowhere.
  const site = document.querySelector(".go a");
  const goText = site.textContent;
  const home = new URL(site.href);
  let told; // whether it was written
  try {
    const [, how, text] = /^#(?:(at|from)=)?(.*)/.exec(way);
    const there = new URL(how === "from" ? decodeURIComponent(text) : how ? home.origin + text : home.href + way);
    if (there.href.startsWith(home.origin + "/")) {
      site.href = there.href;
      told = how;
    }
  } catch {
    // no such thing in the fragment
  }

  // The page that lets administrators in is told where they are to go on.
  const { login: enter } = $("admin").dataset;
  link.href = enter.includes("#") ? enter + "&at=" + encodeURIComponent(site.href.slice(home.origin.length)) : enter;

  let closedSince; // as far as this page has seen
  let due;

  // back takes the visitor to where they were, after a random while: the longer it was closed the more people wait, and
  // they are not to arrive in one second. Only then is the site itself asked whether it is open, or the questions would be
  // the crowd. It goes once for each opening: where page and application disagree they would send the visitor to and fro.
  const returned = "returned " + home.href;
  const back = () => {
    if (doc.mode !== "online") {
      closedSince = doc.since;
      due = clearTimeout(due);
      return;
    }
    if (due || !told && !closedSince) return;
    try {
      if (sessionStorage[returned] == doc.seq) return;
    } catch {
      return; // storage is forbidden: there is the link, then
    }
    const closed = closedSince ? Date.parse(doc.since) - Date.parse(closedSince) : 0;
    due = setTimeout(async () => {
      try {
        const answer = await get(home.origin + "/.conforma-status/status.json");
        if ((await answer.json()).mode === "online" && doc.mode === "online") {
          sessionStorage[returned] = doc.seq;
          if (inPlace && location.hash) location.reload(); // an address that differs by its fragment alone is not loaded
          else location.replace(site.href);
        }
      } catch {
        // it can't be reached
      }
      due = 0; // the next status has it tried again
    }, Math.random() * Math.min(120000, Math.max(30000, closed / 10)));
  };

  // Written only where it differs, or a screen reader would repeat itself each second.
  const say = (id, text) => {
    const e = $(id);
    if (e.textContent !== text) e.textContent = text;
    e.hidden = !text;
  };

  const day = { weekday: "long", day: "numeric", month: "long" };
  const clock = { hour: "numeric", minute: "2-digit", hourCycle };
  const dayAndClock = { ...day, ...clock };
  const time = (t) => format(t, format(t, day) === format(now(), day) ? clock : dayAndClock);

  const span = (ms) => {
    if (ms < 60000) return soonText;
    const n = Math.ceil(ms / 60000);
    const parts = [[n / 1440 | 0, "day"], [n / 60 % 24 | 0, "hour"], [n % 60, "minute"]]
      .filter(([count]) => count)
      .map(([count, unit]) => Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(count));
    return new Intl.ListFormat(locale, { type: "unit" }).format(parts);
  };

  const progress = () => {
    if (doc.mode === "online") return ["", welcomeText, overText];
    if (!doc.expectedUntil) return ["", noneText, laterText];
    const until = Date.parse(doc.expectedUntil);
    const left = until - now();
    if (left > 0) return [inText, span(left), put(plannedText, time(until)), left / (until - Date.parse(doc.since))];
    return ["", lateText, put(missedText, time(until)), 0];
  };

  // The message in the reader's language, else that for all, else any: rather a foreign word than none.
  const message = ({ message, messages } = {}) => {
    const all = messages ?? {};
    const tags = Object.keys(all);
    const own = tags.find((l) => same(l, root.lang)) ?? tags.find((l) => same(base(l), base(root.lang)));
    const lang = own ?? (message == null ? tags[0] : "");
    $("message").lang = lang ?? "";
    return (lang ? all[lang] : message) ?? "";
  };

  const next = () => {
    const from = Date.parse(doc.next?.from); // NaN where there is none
    const until = Date.parse(doc.next?.until);
    if (!from || (until || from) < now()) return "";
    return put(nextText, until ? Intl.DateTimeFormat(locale, dayAndClock).formatRange(from, until) + ` (${span(until - from)})` : format(from, dayAndClock));
  };

  const show = () => {
    if (!doc && !failing) return;
    root.dataset.seen = "";
    if (!doc) {
      say("state", unknownText);
      say("detail", askingText);
      return;
    }
    const open = doc.mode === "online";
    const [label, big, detail, left] = progress();
    root.dataset.mode = doc.mode;
    document.title = open ? put(tabText, tab) : tab;
    say("title", open ? openedText : heading);
    $("lead")?.toggleAttribute("hidden", open);
    say("state", open ? openText : closedText);
    say("label", label);
    say("big", big);
    $("progress").hidden = !(left >= 0 && left <= 1);
    if (left >= 0) $("progress").value = 1 - left;
    say("detail", detail);
    site.textContent = open ? goText : tryText;
    const ahead = next();
    say("next", ahead);
    say("message", message(open ? ahead && why : doc));
    $("calendar").hidden = !ahead;
    $("admin").hidden = doc.mode !== "admin";
    say("since", put(open ? reopenedText : sinceText, time(Date.parse(doc.since))));
    // Of the time that is ahead: clocks may be changed until then.
    say("zone", put(zoneText, Intl.DateTimeFormat(locale, { timeZoneName: "long" })
      .formatToParts(Date.parse(doc.expectedUntil ?? doc.next?.from) || now()).find((p) => p.type === "timeZoneName").value));
    say("news", failing ? put(staleText, time(heard)) : !open ? backText : due ? momentText : "");
  };

  const isText = (v) => v == null || typeof v === "string";
  const isTime = (v) => isText(v) && Date.parse(v);
  const readable = (d) => d?.version === 1 && ["online", "admin", "offline"].includes(d.mode) && Number.isInteger(d.seq) &&
    isTime(d.since) && (d.expectedUntil == null || isTime(d.expectedUntil)) &&
    isText(d.message) && Object.values(d.messages ?? {}).every(isText);

  // Why there is a next window is in the schedule, beside the status. That it can't be had is no news.
  const learn = async () => {
    try {
      why = (await (await get(status.replace("tatus", "chedule"))).json()).windows
        .find((w) => w.from === doc.next.from && w.state[0] === "s"); // scheduled: no other state begins like it
    } catch {
      // as before
    }
  };

  const ask = async () => {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    try {
      const answer = await get(status);
      const got = await answer.json();
      if (!answer.ok || !readable(got)) throw 0;
      // A cache on the way keeps the Date of when it asked, and says in Age how long ago that was.
      const clock = Date.parse(answer.headers.get("date")) + 1000 * (answer.headers.get("age") ?? 0);
      const ahead = clock - Date.now();
      // Date is in whole seconds: smaller changes are noise, and would make the countdown flicker.
      if (Math.abs(ahead - offset) > 2000) offset = ahead;
      failing = 0;
      if (!doc || got.seq >= doc.seq) {
        doc = got;
        heard = now();
      }
    } catch {
      failing += failing < 2;
    }
    asking = false;
    if (doc?.next && doc.mode === "online" && !inPlace) learn(); // an application's own address has no schedule
    show();
    if (doc && !failing) back();
    timer = setTimeout(ask, every * (0.8 + 0.4 * Math.random()) * 2 ** failing);
  };

  document.addEventListener("visibilitychange", ask);
  addEventListener("online", ask);
  setInterval(() => document.hidden || show(), 1000);
  ask();
})();
