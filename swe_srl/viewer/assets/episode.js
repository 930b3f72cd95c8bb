// One episode: the issue, its turns beside the expert's, the patch, the verdict.
"use strict";

/** The elements of an episode. `place` makes the address of a turn; without it turns have none. */
function episodeView(row, page, place) {
  return [
    issueView(page.issue),
    page.turns.length > 1 ? turnMap(page.turns, place) : null,
    el("section", { class: "turns", "aria-label": "Turns" }, page.turns.length
      ? page.turns.map((turn, index) => turnView(turn, index, page, place)) : el("p", { class: "nothing" }, patchOnly(row) ? "A prediction: nothing is known of how its patch was made." : "This episode has no turns.")),
    expertRest(page),
    endView(row, page),
    patchView(page),
    page.verdict ? testsView(page) : null,
    logsView(page.logs),
  ];
}

function issueView(issue) {
  if (!issue) return null;
  const long = issue.length > 700 || issue.split("\n").length > 12;
  return el("details", { class: "issuebox", open: !long }, el("summary", {}, "Issue"), el("div", { class: "prose" }, terminal(issue)));
}

/** What stands out in a turn: its kind for colours, and words for it. */
function turnKind(turn) {
  if (turn.error !== undefined) return ["malformed", "malformed"];
  if (turn.killed) return ["killed", "killed"];
  if (turn.exit_code) return ["failed", `exit code ${turn.exit_code}`];
  return ["fine", ""];
}

/** One square for each turn, to see the whole episode and to get about in it. */
function turnMap(turns, place) {
  return el("nav", { class: "map", "aria-label": "All turns" }, turns.map((turn, index) => {
    const [kind, told] = turnKind(turn), score = turn.scores[0];
    const title = [`turn ${index}`, told, score ? `similarity ${decimal(score.value)}` : ""].filter(Boolean).join(", ");
    const level = score ? (score.value >= 0.999 ? "same" : score.value >= 0.7 ? "near" : score.value >= 0.35 ? "far" : "off") : null;
    return el(place ? "a" : "span", { class: `square ${kind}`, "data-level": level, title, "aria-label": title, href: place ? place(index) : null }, index);
  }));
}

function turnView(turn, index, page, place) {
  const [kind, told] = turnKind(turn);
  const [prompt, thought, completion] = turn.tokens;
  const facts = [told ? el("span", { class: `mark ${kind}` }, told) : null, seconds(turn.seconds),
    completion ? el("span", { title: `prompt ${whole(prompt)}, thought ${whole(thought)}, whole completion ${whole(completion)} tokens` }, `${whole(completion)} tokens`) : null];
  const head = el("header", {}, el(place ? "a" : "b", { class: "number", href: place ? place(index) : null, title: "address of this turn" }, index),
    el("span", { class: "facts" }, facts), place ? copyButton(`swe-srl fork '${page.fork.replaceAll("'", "'\\''")}@${index}'`, "copy fork command") : null);
  const own = el("div", { class: "own" }, turn.thought ? el("div", { class: "thought" }, terminal(turn.thought)) : null,
    turn.error === undefined ? commandBlock(turn.command, turn.target)
      : [el("p", { class: "warning" }, "No command ran: ", visible(turn.error)), turn.text ? outputBlock(turn.text, "command malformed") : null],
    turn.output ? outputBlock(turn.output) : turn.error === undefined ? el("p", { class: "silent" }, "no output") : null);
  return el("article", { class: `turn ${kind}`, "data-turn": index }, head, el("div", { class: "sides" }, own, targetView(turn, page, index)));
}

function commandBlock(command, target) {
  const parts = target !== null && target !== undefined && target.length < 4000 && command.length < 4000 ? marked(command, target, "other") : [terminal(command)];
  return el("pre", { class: "command" }, parts);
}

/** The expert's command at the same turn, with the similarities and the parts that made them. */
function targetView(turn, page, index) {
  if (turn.target === null || turn.target === undefined) {
    return page.expert ? el("aside", { class: "expert" }, el("p", { class: "label" }, `the expert had finished after ${count(page.expert.length, "turn")}`)) : null;
  }
  const same = turn.command === turn.target;
  const thought = page.expert && page.expert[index] && page.expert[index].thought;
  return el("aside", { class: "expert" },
    el("p", { class: same ? "label agree" : "label" }, same ? "the same as the expert" : "the expert"),
    !same && thought ? el("div", { class: "thought" }, terminal(thought)) : null,
    same ? null : el("pre", { class: "command" }, turn.command !== undefined && turn.target.length < 4000 && turn.command.length < 4000 ? marked(turn.target, turn.command, "other") : terminal(turn.target)),
    same ? null : turn.scores.map(scoreView));
}

function scoreView(score) {
  const parts = Object.entries(score.parts).map(([name, value]) => [el("dt", {}, words(name)), el("dd", {}, typeof value === "number" ? decimal(value) : visible(value))]);
  return el("details", { class: "score" }, el("summary", {}, meter(score.value), el("b", {}, decimal(score.value)), ` ${score.name}`),
    score.reason ? el("p", { class: "muted" }, visible(score.reason)) : null, el("dl", { class: "facts" }, parts));
}

/** What the expert did in turns that the episode did not reach. */
function expertRest(page) {
  const rest = page.expert ? page.expert.slice(page.turns.length) : [];
  if (!rest.length) return null;
  return el("details", { class: "rest" }, el("summary", {}, `The expert went on for ${count(rest.length, "turn")}`),
    rest.map((turn) => [turn.thought ? el("div", { class: "thought" }, terminal(turn.thought)) : null, el("pre", { class: "command" }, terminal(turn.command))]));
}

function endView(row, page) {
  const verdict = page.verdict;
  if (patchOnly(row) && verdict) return null;
  const line = [el("b", {}, "The episode ended: "), words(row.stop), ". "];
  if (!verdict) line.push(row.reason ? ["Not graded: ", visible(row.reason)] : "It is not graded yet.");
  return el("p", { class: "ended" }, line);
}

function patchView(page) {
  const gold = page.gold && page.gold !== page.patch
    ? el("details", { class: "gold" }, el("summary", {}, "Gold patch (the policy never saw it)"), diffView(page.gold)) : null;
  return el("section", { class: "patch" }, el("h2", {}, "Patch"),
    page.patch.trim() ? diffView(page.patch) : el("p", { class: "nothing" }, "The patch is empty."), gold);
}

const TESTS = [["fail_to_pass_failed", "must pass, and fail", "bad", true], ["pass_to_pass_failed", "must go on passing, and fail", "bad", true],
  ["fail_to_pass_passed", "must pass, and do", "good", true], ["pass_to_pass_passed", "must go on passing, and do", "good", false]];

function testsView(page) {
  const verdict = page.verdict;
  const rule = (name, passed) => el("div", { class: `rule ${passed ? "good" : "bad"}` }, el("b", {}, name), passed ? "resolved" : "not resolved");
  const lists = TESTS.filter(([key]) => verdict.tests[key].length).map(([key, title, kind, open]) => {
    const names = verdict.tests[key];
    return el("details", { class: `tests ${kind}`, open: open && names.length <= 12 }, el("summary", {}, el("b", {}, whole(names.length)), ` ${title}`),
      el("ul", {}, names.map((name) => el("li", {}, visible(name)))));
  });
  return el("section", { class: "verdict" }, el("h2", {}, "Verdict"),
    el("div", { class: "rules" }, rule("official", verdict.official), page.hardened_known === false ? null : rule("hardened", verdict.hardened), verdictMark(verdict)),
    verdict.reason ? el("p", {}, visible(verdict.reason)) : null,
    verdict.flags.length ? el("p", { class: "flags" }, verdict.flags.map((flag) => el("span", { class: "mark flag" }, visible(flag)))) : null, lists);
}

function logsView(logs) {
  const made = logs.map(({ title, text }) => {
    const folded = el("details", { class: "log" }, el("summary", {}, title));
    folded.addEventListener("toggle", () => { if (folded.open && folded.children.length === 1) folded.append(outputBlock(text)); });
    return folded;
  });
  return made.length ? el("section", { class: "logs" }, made) : null;
}

/** The page of an episode, which is filled when its data is there. */
function episodePage(run, here, ready) {
  const row = run.rows[here];
  const place = (turn) => episodeAddress(run, row, turn);
  const before = neighbour(run, here, -1), after = neighbour(run, here, 1);
  const step = (to, text, title) => (to < 0 ? el("span", { class: "step muted" }, text) : el("a", { class: "step", href: episodeAddress(run, run.rows[to]), title }, text));
  const body = el("div", { class: "body" }, el("p", { class: "nothing" }, "Loading…"));
  const head = el("header", { class: "headline" }, el("div", { class: "steps" }, step(before, "← previous", "previous episode (p)"), step(after, "next →", "next episode (n)")),
    el("h1", {}, episodeName(run, row)), el("p", { class: "summary" }, verdictMark(row), differs(row) ? el("span", { class: "mark differ" }, "not hardened") : null,
      [visible(row.repo), ...(patchOnly(row) ? [] : [count(row.turns, "turn"), words(row.stop), seconds(row.seconds)]), row.tokens ? `${whole(row.tokens)} tokens` : "",
        row.similarity === null ? "" : `similarity ${decimal(row.similarity)}`].filter(Boolean).map((fact) => el("span", { class: "fact" }, fact))));
  sweSrl.load(row.data).then((page) => {
    page.hardened_known = row.hardened !== null;
    body.replaceChildren();
    append(body, episodeView(row, page, place));
    ready();
  }, (error) => {
    body.replaceChildren(el("p", { class: "warning" }, `${error.message}: was the folder copied whole?`));
  });
  return el("div", { class: "withside" }, episodeSidebar(run, here), el("div", { class: "episode" }, head, body));
}
