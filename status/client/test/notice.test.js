import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { notice } from "../notice.js";

// A document with as much of it as the notice uses.
const page = () => {
  const body = [];
  const element = (tag) => ({
    tag, style: {}, children: [], textContent: "", setAttribute() {},
    append(e) { this.children.push(e); },
    remove() { body.splice(body.indexOf(this), body.includes(this) ? 1 : 0); },
  });
  return { body: { append: (e) => body.push(e) }, createElement: element, querySelectorAll: () => [], documentElement: { lang: "" }, boxes: body, shown: () => body.map((e) => e.textContent), press: () => body[0].children[0].onclick() };
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
