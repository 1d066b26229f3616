import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import * as m from "../../../taskcenter/static/taskcenter/task-progress.js";

const base = { id: "a", rev: 3, attempt: 1, seq: 5, state: "processing", shown: "processing", progress: 0.5, message: "half" };

test("a later progress frame moves the bar and leaves the state alone", () => {
  const next = m.merge(base, { ...base, seq: 6, progress: 0.6, rev: 2, state: "pending" });
  assert.equal(next.progress, 0.6);
  assert.equal(next.state, "processing");
  assert.equal(next.rev, 3);
});

test("an earlier progress frame is dropped, a later rev beside it is kept", () => {
  const next = m.merge(base, { ...base, seq: 4, progress: 0.4, rev: 4, state: "completed", final: true });
  assert.equal(next.progress, 0.5);
  assert.equal(next.seq, 5);
  assert.equal(next.state, "completed");
});

test("a new attempt starts the bar again although its seq is small", () => {
  const next = m.merge(base, { ...base, rev: 5, attempt: 2, seq: 1, progress: 0.1 });
  assert.deepEqual([next.attempt, next.seq, next.progress], [2, 1, 0.1]);
});

test("the same frame twice is no news", () => {
  assert.equal(m.merge(base, { ...base }), base);
  const rich = { ...base, can: ["cancel"], error: null };
  assert.equal(m.merge(rich, { ...rich, can: ["cancel"] }), rich);
});

test("derived fields may move without a new rev", () => {
  assert.equal(m.merge(base, { ...base, shown: "lost", worker_alive: false }).shown, "lost");
});

test("a task that ended stays ended until a higher rev", () => {
  const ended = { ...base, rev: 4, state: "completed", shown: "completed", final: true };
  assert.equal(m.merge(ended, { ...base, rev: 4, final: false, seq: 9 }).state, "completed");
  const again = m.merge(ended, { ...base, rev: 5, state: "pending", shown: "pending", final: false });
  assert.deepEqual([again.state, again.final], ["pending", false]);
});

test("a task sent back to wait shows an empty bar, and no late word of the old attempt fills it", () => {
  const waiting = m.merge(base, { ...base, rev: 4, seq: 0, state: "pending", shown: "pending", progress: null, message: "" });
  assert.deepEqual([waiting.progress, waiting.message, waiting.seq], [null, "", 5]);
  assert.equal(m.merge(waiting, { ...base, rev: 3, seq: 5 }).progress, null);
});

test("any order of the same frames ends in the same picture", () => {
  const frames = [
    { ...base, rev: 1, attempt: 0, seq: 0, state: "pending", shown: "pending", progress: null, final: false },
    { ...base, rev: 2, attempt: 1, seq: 1, progress: 0.1, final: false },
    { ...base, rev: 2, attempt: 1, seq: 2, progress: 0.9, final: false },
    { ...base, rev: 3, attempt: 1, seq: 3, state: "completed", shown: "completed", progress: 1, final: true },
  ];
  const orders = (list) => (list.length < 2 ? [list] : list.flatMap((one, at) => orders(list.toSpliced(at, 1)).map((rest) => [one, ...rest])));
  for (const order of orders(frames)) {
    const end = order.reduce(m.merge, null);
    assert.deepEqual([end.state, end.shown, end.progress, end.seq, end.final], ["completed", "completed", 1, 3, true]);
  }
});

test("back-off grows from half a second to fifteen, with jitter, and obeys the server", () => {
  assert.equal(m.backoff(0, 1), 500);
  assert.equal(m.backoff(0, 0), 250);
  assert.equal(m.backoff(3, 1), 4000);
  assert.equal(m.backoff(50, 1), 15000);
  assert.equal(m.backoff(3, 1, 2), 2000);
});

test("close codes", () => {
  for (const code of [1000, 1001, 1006, 1012, 1013]) assert.equal(m.afterClose(code), "reconnect");
  for (const code of [4400, 4408, 4429]) assert.equal(m.afterClose(code), "poll");
  for (const code of [4401, 4403]) assert.equal(m.afterClose(code), "denied");
});

test("percent never promises the end too early", () => {
  assert.deepEqual([0, 0.005, 0.62, 0.999, 1, 1.7, -1, null, undefined].map(m.percentText), ["0%", "0%", "62%", "99%", "100%", "100%", "0%", "", ""]);
  assert.equal(m.percentText(0.29), "29%");
});

test("time left is rounded the way people speak", () => {
  const said = [0, 2, 23, 56, 58, 61, 100, 150, 290, 900, 3600, 5400, 200000].map((seconds) => m.etaText(seconds));
  assert.deepEqual(said, [
    "about 5 s left", "about 5 s left", "about 25 s left", "about 55 s left", "about 1 min left", "about 1 min left",
    "about 1 min 30 s left", "about 2 min 30 s left", "about 5 min left", "about 15 min left", "about 1 h left",
    "about 1 h 30 min left", "about 2 d left",
  ]);
  assert.equal(m.etaText(60, true), "about 1 minute left");
  assert.equal(m.etaText(90, true), "about 1 minute 30 seconds left");
  for (const none of [null, undefined, -1, NaN, Infinity]) assert.equal(m.etaText(none), "");
});

test("silence is mentioned only when it is long for this task", () => {
  assert.equal(m.silenceText(19, 1), "");
  assert.equal(m.silenceText(44, 1), "no news for 40 s");
  assert.equal(m.silenceText(44, 30), "");
  assert.equal(m.silenceText(180, 1), "no news for 3 min");
});

const words = JSON.parse(await readFile(new URL("words.json", import.meta.url)));

for (const { name, frame, ...said } of words.cases) {
  test(`the same words as the server's: ${name}`, () => {
    const now = Date.parse(words.now), left = frame.eta_s === null ? null : frame.eta_s - (now - Date.parse(frame.updated_at)) / 1000;
    assert.equal(m.percentText(frame.progress), said.percent);
    assert.equal(m.messageText(frame), said.message);
    assert.equal(m.messageText(frame, true), said.with_stages ?? said.message);
    assert.equal(m.countText(frame, "en"), said.count);
    assert.equal(m.etaText(left) || m.dueText(frame, now), said.time);
    assert.equal(m.valueText(frame, left, "en"), said.value);
  });
}

for (const { name, names, frame, now, list } of words.stages) {
  test(`stages: ${name}`, () => {
    const said = m.stageList(names, frame, Date.parse(now)).map((stage) => `${stage.name}: ${stage.text}`);
    assert.deepEqual(said, list);
  });
}

test("a guess that wavers by less than a step is no news", () => {
  let said = null;
  const told = [23, 21, 27, 24, 18.5, 14, 60, 75, 20, null].map((left) => m.etaText((said = m.calmly(said, left))));
  assert.deepEqual(told, ["about 25 s left", "about 25 s left", "about 25 s left", "about 25 s left", "about 20 s left",
    "about 15 s left", "about 1 min left", "about 1 min left", "about 20 s left", ""]);
});

test("passes go in a header, each once", () => {
  assert.deepEqual(m.passHeaders(["x", null, "y:z", "x", ""]), { "X-Task-Token": "x,y:z" });
  assert.deepEqual(m.passHeaders([null]), {});
});

test("one widget speaks at state changes and quarters, ten seconds apart", () => {
  let memory = m.announcement(null, { state: "pending" }, "Sales", 0).memory;
  const say = (task, now) => {
    const spoken = m.announcement(memory, task, "Sales", now);
    memory = spoken.memory;
    return spoken.text;
  };
  assert.equal(say({ state: "processing", progress: 0 }, 1000), "Sales: processing");
  assert.equal(say({ state: "processing", progress: 0.26 }, 2000), null, "too soon");
  assert.equal(say({ state: "processing", progress: 0.3 }, 12000), "Sales: 30 percent");
  assert.equal(say({ state: "processing", progress: 0.4 }, 60000), null, "same quarter");
  assert.equal(say({ state: "completed", progress: 1, final: true }, 60001), "Sales: completed");
  assert.equal(say({ state: "completed", progress: 1, final: true }, 90000), null);
});

test("many endings are one sentence", () => {
  const ended = (...states) => states.map((state) => ({ state, label: "Sales" }));
  assert.equal(m.batchText(ended("completed")), "Sales: completed");
  assert.equal(m.batchText(ended("completed", "failed", "completed", "completed")), "3 tasks completed, 1 failed");
  assert.equal(m.batchText(ended("failed", "cancelled")), "1 task failed, 1 cancelled");
  assert.equal(m.batchText([]), "");
});

test("only web addresses become links", () => {
  const here = "https://example.com/tasks/";
  assert.equal(m.safeUrl("/reports/1/", here), "https://example.com/reports/1/");
  for (const bad of ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "", null, 7]) assert.equal(m.safeUrl(bad, here), null);
});

test("lists are cut into chunks", () => assert.deepEqual(m.chunks([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]));
