/* What the dashboard decides without a browser: when to ask again, and what it says. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { EVERY, UNFOCUSED, ago, delay, status } from "../../../taskcenter/static/taskcenter/dashboard.js";

const watched = { hidden: false, focused: true, paused: false };

test("it asks often while somebody looks, and rarely beside another window", () => {
  assert.equal(delay(watched), EVERY);
  assert.equal(delay({ ...watched, focused: false }), UNFOCUSED);
});

test("it asks nothing in a hidden tab or when it was told to pause", () => {
  assert.equal(delay({ ...watched, hidden: true }), null);
  assert.equal(delay({ ...watched, paused: true }), null);
});

test("a site that does not answer is asked ever more rarely, up to a minute", () => {
  assert.equal(delay({ ...watched, failures: 1 }), 2 * EVERY);
  assert.equal(delay({ ...watched, failures: 9 }), 60_000);
});

test("times are told in the unit that fits", () => {
  assert.equal(ago(-5), "0 s ago");
  assert.equal(ago(2_400), "2 s ago");
  assert.equal(ago(180_000), "3 min ago");
  assert.equal(ago(7_200_000), "2 h ago");
});

test("it never says live when it is not", () => {
  const well = { paused: false, signedOut: false, failures: 0, since: 2_000 };
  assert.deepEqual(status(well), [true, "Live; updated 2 s ago"]);
  for (const trouble of [{ paused: true }, { signedOut: true }, { failures: 1 }]) {
    assert.equal(status({ ...well, ...trouble })[0], false);
  }
});
