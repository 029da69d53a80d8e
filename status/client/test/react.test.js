import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { watchStatus } from "../conforma-status.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

test("the hook, rendered ahead in Node, knows nothing yet", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "react-"));
  t.after(() => rmSync(dir, { recursive: true }));
  symlinkSync(here("../../../deploy/e2e/web/apollo4/node_modules"), join(dir, "node_modules"));
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  copyFileSync(here("../react.js"), join(dir, "react.js"));
  writeFileSync(join(dir, "all.js"), 'export * from "./react.js"; export { createElement } from "react"; export { renderToString } from "react-dom/server";');
  const { createElement, renderToString, useMaintenance } = await import(pathToFileURL(join(dir, "all.js")));
  const watch = watchStatus({ statusUrl: "https://maintenance.example.org/demo/status.json" });
  let known;
  const Banner = () => {
    known = useMaintenance(watch, "pt");
    return createElement("p", null, String(known.message));
  };
  assert.equal(renderToString(createElement(Banner)), "<p>null</p>");
  assert.deepEqual(known, { mode: undefined, eta: null, message: null, countdown: null, leaving: false });
});
