/* The pure parts of the admin's scripts: `node --test`. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { isTyping, newerText, stepped } from "../../../taskcenter/static/taskcenter/admin-list.js";
import { isAtEnd } from "../../../taskcenter/static/taskcenter/admin-page.js";

test("a step stays among the rows", () => {
  assert.equal(stepped(-1, 1, 3), 0);
  assert.equal(stepped(-1, -1, 3), 2);
  assert.equal(stepped(2, 1, 3), 2);
  assert.equal(stepped(0, -1, 3), 0);
  assert.equal(stepped(5, 1, 3), 2);
  assert.equal(stepped(-1, 1, 0), -1);
});

test("newer tasks are counted in words", () => {
  assert.equal(newerText(0), "");
  assert.equal(newerText(1), "1 newer task — ");
  assert.equal(newerText(12), "12 newer tasks — ");
  assert.equal(newerText(1000), "999+ newer tasks — ");
});

test("keys belong to what is typed in", () => {
  const element = (matches) => ({ isContentEditable: false, closest: () => (matches ? {} : null) });
  assert.equal(isTyping(element(true)), true);
  assert.equal(isTyping(element(false)), false);
  assert.equal(isTyping({ isContentEditable: true }), true);
  assert.equal(isTyping(null), false);
});

test("a box shows its end", () => {
  assert.equal(isAtEnd({ scrollTop: 60, clientHeight: 100, scrollHeight: 200 }), true);
  assert.equal(isAtEnd({ scrollTop: 0, clientHeight: 100, scrollHeight: 200 }), false);
});
