import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { notice } from "../notice.js";

// A document with as much of it as the notice uses.
const page = () => {
  const body = [];
  const element = (tag) => ({
    tag, style: {}, children: [], text: "", setAttribute() {},
    get textContent() { return this.text; },
    set textContent(text) {
      this.text = text;
      this.children = [];
    },
    append(e) { this.children.push(e); },
    remove() { body.splice(body.indexOf(this), body.includes(this) ? 1 : 0); },
  });
  return { body: { append: (e) => body.push(e) }, createElement: element, querySelectorAll: () => [], documentElement: { lang: "" }, boxes: body, shown: () => body.map((e) => e.textContent), press: (label) => body[0].children.find((e) => e.tag === "button" && (!label || e.text === label)).onclick(), parts: () => body[0].children.map((e) => e.text) };
};

/** A clock that stands still until it is told to go on. Node 18's own, which is Debian 12's, has no Date. */
const stoppedClock = (now = Date.now()) => {
  const due = new Map();
  let last = 0;
  const later = (f, ms, every) => {
    due.set(++last, { f, at: now + ms, every });
    return last;
  };
  mock.method(globalThis, "setTimeout", (f, ms) => later(f, ms));
  mock.method(globalThis, "setInterval", (f, ms) => later(f, ms, ms));
  for (const clear of ["clearTimeout", "clearInterval"]) mock.method(globalThis, clear, (id) => due.delete(id));
  mock.method(Date, "now", () => now);
  const next = (end) => [...due].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
  return {
    tick(ms) {
      const end = now + ms;
      for (let one = next(end); one; one = next(end)) {
        const [id, timer] = one;
        now = timer.at;
        if (timer.every) timer.at += timer.every;
        else due.delete(id);
        timer.f();
      }
      now = end;
    },
  };
};

const closing = { en: "closes", fr: "ferme", pt: "fecha", es: "cierra" };

test("the notice is in the page's language, English where there is none", () => {
  for (const [lang, word] of Object.entries({ ...closing, "pt-BR": "fecha", "FR": "ferme", "lo": "closes", "": "closes" })) {
    const document = page();
    notice({ document, lang: () => lang, seconds: 0 }).onLeave({}, false, new AbortController().signal);
    assert.match(document.shown()[0], new RegExp(word), lang);
  }
});

test("the notice's language is a tag, whatever it is asked for in", () => {
  const rows = {
    "en_US.UTF-8": "en-US", "en_US_POSIX": "en-US-u-va-posix", "pt_BR@euro": "pt-BR", "es_419": "es-419", "zh_Hant_TW": "en", "fr-": "fr", "fr--CA": "fr",
    "en US": "en", "english": "en", "french": "fr", "C.UTF-8": "en", "en-u-hc-h23": "en-u-hc-h23", "PT_br": "pt-BR",
  };
  for (const [lang, want] of [...Object.entries(rows), [null, "en"], [undefined, "en"]]) {
    const document = page();
    const { onChange } = notice({ document, lang: () => lang });
    onChange({ next: { from: new Date(Date.now() + 60000).toISOString(), until: null } });
    assert.deepEqual(document.boxes.map((box) => box.lang), [want], String(lang));
  }
});

test("the page is left after the notice's time, at the press of its button, or at once", async () => {
  const { signal } = new AbortController();
  const document = page();
  await notice({ document, lang: () => "en", seconds: 0 }).onLeave({}, false, signal);
  const pressed = page();
  const left = notice({ document: pressed, lang: () => "en", seconds: 0.1 }).onLeave({}, false, signal);
  pressed.press();
  await left;
  const failed = page();
  assert.ok(notice({ document: failed, lang: () => "en" }).onLeave({}, true, signal));
  assert.deepEqual(failed.shown(), []);
});

test("whoever has lost nothing may stay for now", async () => {
  const { signal } = new AbortController();
  const document = page();
  const left = notice({ document, lang: () => "en" }).onLeave({}, undefined, signal);
  assert.deepEqual(document.parts(), ["Go now", "Stay for now", " 10 s"]);
  document.press("Stay for now");
  assert.equal(await left, false);
  assert.deepEqual(document.shown(), []);
});

test("once a query has failed there is nothing to choose any more", async () => {
  const { signal } = new AbortController();
  const document = page();
  const { onLeave } = notice({ document, lang: () => "en" });
  const left = onLeave({}, undefined, signal);
  assert.equal(onLeave({}, true, signal), true);
  assert.notEqual(await left, false);
  assert.match(document.shown()[0], /closes/, "it stands until the page is left");
  assert.deepEqual(document.parts(), []);
});

test("the notice counts down, says what the operator does, and until when", () => {
  const clock = stoppedClock(Date.UTC(2026, 10, 22, 9, 15));
  const status = {
    message: "We are upgrading.", messages: { pt: "Estamos a atualizar.", "fr-CA": "Mise à niveau." }, expectedUntil: "2026-11-22T09:45:00Z",
  };
  const time = (tag) => new Date(status.expectedUntil).toLocaleString(tag, { dateStyle: "medium", timeStyle: "short" });
  for (const [lang, want] of Object.entries({
    en: `We are upgrading. Expected end: ${time("en")}`,
    pt_BR: `Estamos a atualizar. Fim previsto: ${time("pt-BR")}`,
    "fr-CA": `Mise à niveau. Fin prévue : ${time("fr-CA")}`,
  })) {
    const document = page();
    notice({ document, lang: () => lang, seconds: 3 }).onLeave(status, undefined, new AbortController().signal);
    assert.ok(document.shown()[0].endsWith(want), document.shown()[0]);
    for (const left of [" 3 s", " 2 s", " 1 s"]) {
      assert.equal(document.parts()[2], left);
      clock.tick(1000);
    }
    assert.deepEqual(document.parts(), []);
  }
  for (const expectedUntil of [null, "2026-11-22T09:00:00Z"]) {
    const document = page();
    notice({ document, lang: () => "en" }).onLeave({ ...status, message: null, expectedUntil }, undefined, new AbortController().signal);
    assert.match(document.shown()[0], /when it is over\. ?$/);
  }
  // A device may be an hour ahead, or behind: the server's clock says what is to come.
  for (const [expectedUntil, hours, want] of [["2026-11-22T09:45:00Z", -1, "Expected end"], ["2026-11-22T10:00:00Z", 1, "when it is over"]]) {
    const document = page();
    const { onChange, onLeave } = notice({ document, lang: () => "en" });
    onChange({}, () => Date.now() + 3600000 * hours);
    onLeave({ ...status, message: null, expectedUntil }, undefined, new AbortController().signal);
    assert.ok(document.shown()[0].includes(want), document.shown()[0]);
  }
  mock.restoreAll();
});

test("whoever has to wait is told so until the wait is over, as far as can be known", () => {
  const clock = stoppedClock();
  const document = page();
  const { onWait, onChange } = notice({ document, lang: () => "en" });
  onWait();
  assert.match(document.shown()[0], /wait a moment/);
  clock.tick(14000);
  onWait(); // tried too early
  assert.equal(document.shown().length, 1);
  clock.tick(14000);
  assert.equal(document.shown().length, 1);
  clock.tick(1000);
  assert.deepEqual(document.shown(), []);
  onWait();
  onChange({ next: null });
  assert.deepEqual(document.shown(), [], "when there is news");
  onWait();
  document.press("Close");
  assert.deepEqual(document.shown(), []);
  mock.restoreAll();
});

test("the notice goes when the site opens", async () => {
  const stop = new AbortController(), document = page();
  const left = notice({ document, lang: () => "en", seconds: 0.1 }).onLeave({}, false, stop.signal);
  assert.equal(document.shown().length, 1);
  stop.abort();
  await left;
  assert.deepEqual(document.shown(), []);
});

test("an announced window is warned of in time, also weeks ahead, unless it is called off", () => {
  const timers = [];
  mock.method(globalThis, "setTimeout", (f, ms) => timers.push({ f, ms }));
  mock.method(globalThis, "clearTimeout", (id) => id && (timers[id - 1] = undefined));
  let time = Date.UTC(2026, 10, 1);
  const run = () => {
    const timer = timers.splice(timers.findIndex(Boolean), 1, undefined)[0];
    assert.ok(timer.ms <= 2 ** 31 - 1);
    time += timer.ms;
    timer.f();
  };
  const document = page();
  const from = Date.UTC(2026, 11, 20);
  const { onChange: change } = notice({ document, lang: () => "en_NZ" });
  const onChange = (status) => change(status, () => time);
  onChange({ next: { from: new Date(from).toISOString(), until: null } });
  while (time < from - 900000) {
    assert.deepEqual(document.shown(), []);
    run();
  }
  assert.equal(time, from - 900000);
  assert.match(document.shown()[0], /^This site closes for maintenance at /);
  document.press();
  onChange({ next: { from: new Date(from).toISOString(), until: null } });
  assert.deepEqual(document.shown(), [], "closed by the reader");
  const soon = new Date(time + 60000).toISOString();
  onChange({ next: { from: soon, until: null } });
  assert.equal(document.shown().length, 1);
  onChange({ next: null });
  assert.deepEqual(document.shown(), [], "called off while it is shown");
  onChange({ next: { from: new Date(time + 5e6).toISOString(), until: null } });
  onChange({ next: null });
  assert.ok(!timers.some(Boolean), "called off");
  onChange({ next: { from: new Date(time - 1000).toISOString(), until: null } });
  assert.deepEqual(document.shown(), [], "over already");
  mock.restoreAll();
});
