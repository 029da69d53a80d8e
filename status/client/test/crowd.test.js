import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { costs } from "./costs.js";
import { crowd } from "./crowd.js";

const visitors = 1000;
const figures = { short: await crowd({ visitors, closed: 300 }), long: await crowd({ visitors, closed: 1800 }) };

test("a thousand visitors load the store evenly, all know within one interval, and come back as a stream", () => {
  for (const [name, f] of Object.entries(figures)) {
    assert.ok(f.open.mean > visitors / 13.5 && f.open.mean < visitors / 12, `${name}: ${f.open.mean} requests a second`);
    assert.ok(f.open.peak <= 3 * f.open.mean, `${name}: ${f.open.peak} in one second`);
    assert.ok(f.closed.mean > visitors / 16 && f.closed.mean < visitors / 14, `${name}, closed: ${f.closed.mean} requests a second`);
    assert.ok(f.closed.peak <= 3 * f.closed.mean, `${name}, closed: ${f.closed.peak} in one second`);
    assert.ok(f.know.last <= 15, `${name}: the last knew after ${f.know.last} s`);
    assert.equal(f.left, visitors);
    // Each asks the site once whether it is open, and goes.
    assert.equal(f.returned, visitors);
    assert.equal(f.asked, visitors);
    assert.ok(f.back.peak <= 3 * f.back.mean, `${name}: ${f.back.peak} in one second of the first minute, the mean is ${f.back.mean}`);
  }
});

test("deploy/front-end-costs.md is what these figures come to (UPDATE=1 writes it)", () => {
  const file = new URL("../../../deploy/front-end-costs.md", import.meta.url);
  const want = costs(visitors, figures);
  if (process.env.UPDATE) writeFileSync(file, want);
  assert.equal(readFileSync(file, "utf8"), want);
});
