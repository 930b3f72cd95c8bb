// The page of all runs, and the page of one evaluation run.
"use strict";

/** A rate with its interval, on a line from 0 to 1. */
function interval(rate) {
  const bar = el("span", { class: "interval", title: `95% interval ${percent(rate.low)} to ${percent(rate.high)}` }, el("i"), el("b"));
  if (rate.low !== null) {
    bar.children[0].style.left = percent(rate.low);
    bar.children[0].style.width = percent(rate.high - rate.low);
    bar.children[1].style.left = percent(rate.value);
  }
  return bar;
}

const started = (run) => (run.created ? `started ${moment(run.created)}` : "");

/** Whether a run has an end. */
function state(run) {
  if (run.finished) return null;
  const begun = run.kind === "train" ? run.updates > 0 : run.rows.length > 0;
  return el("span", { class: "mark open" }, begun ? "not finished" : "nothing yet");
}

function homePage() {
  const { runs, comparisons } = sweSrl.index;
  const splits = [...new Set(runs.map((run) => run.settings.split).filter(Boolean))].sort();
  const cards = runs.map((run) => (run.kind === "train" ? trainingCard(run) : evaluationCard(run)));
  const tools = [];
  if (splits.length > 1) {
    const select = el("select", { "aria-label": "Split", "data-filter": "split" }, el("option", { value: "" }, "Any split"), splits.map((split) => el("option", { value: split }, visible(split))));
    select.addEventListener("change", () => {
      cards.forEach((card, place) => { card.hidden = Boolean(select.value) && runs[place].settings.split !== select.value; });
    });
    tools.push(select);
  }
  const pairs = comparisons.map((pair) => el("li", {}, el("a", { href: address("compare", pair.a, pair.b) },
    el("b", { class: pair.difference.value > 0 ? "plus" : pair.difference.value < 0 ? "minus" : null }, points(pair.difference.value)),
    el("span", {}, visible(pair.a), " → ", visible(pair.b)),
    el("span", { class: "muted" }, `${signed(pair.difference.low)} to ${points(pair.difference.high)}, ${count(pair.tasks, "task")}`))));
  return el("div", { class: "home" }, el("h1", {}, runs.length === 1 ? "One run" : `${runs.length} runs`), tools,
    el("div", { class: "cards" }, cards),
    pairs.length ? el("section", {}, el("h2", {}, "Comparisons"), el("ol", { class: "pairs" }, pairs)) : null,
    el("footer", { class: "muted" }, `Written ${moment(sweSrl.index.written)} by swe-srl ${sweSrl.index.version}.`));
}

const signed = (value, digits = 1) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(100 * value).toFixed(digits)}`;
const points = (value, digits = 1) => `${signed(value, digits)} points`;

function evaluationCard(run) {
  const rate = run.rates.official;
  const figures = rate ? [el("p", { class: "big" }, percent(rate.value)), interval(rate),
    el("p", { class: "muted" }, `${whole(rate.resolved)} of ${whole(run.rates.graded)} resolved`)]
    : [el("p", { class: "big muted" }, "–"), el("p", { class: "muted" }, count(run.rows.length, "episode"), ", none graded")];
  return el("a", { class: "card", href: address(run.name) }, el("h2", {}, visible(run.name), " ", state(run)),
    el("p", { class: "title" }, visible(run.title)), figures);
}

function trainingCard(run) {
  const [name, points_] = Object.entries(run.brief)[0] || [];
  const figures = name ? [el("p", { class: "big" }, decimal(points_.at(-1)[1])), sparkline(points_, run.updates),
    el("p", { class: "muted" }, `${words(name)}, ${count(run.updates, "update")}`)]
    : [el("p", { class: "big muted" }, "–"), el("p", { class: "muted" }, "no update yet")];
  return el("a", { class: "card", href: address(run.name) }, el("h2", {}, visible(run.name), " ", state(run)),
    el("p", { class: "title" }, visible(run.title)), figures);
}

/** Shares of a whole as one bar with its legend; a part is a filter of the list when it is clicked. */
function shares(title, counts, key) {
  const total = counts.reduce((sum, [, number]) => sum + number, 0);
  const bar = el("div", { class: "share" }, counts.map(([name, number]) => {
    const part = el("i", { class: key === "verdict" ? name : null, title: `${words(name)}: ${number}` });
    part.style.flexGrow = number;
    return part;
  }));
  const legend = el("ul", {}, counts.map(([name, number]) => el("li", {},
    el("button", { type: "button", class: "quiet", onclick: () => setFilter(key, name) },
      el("i", { class: `dot ${key === "verdict" ? name : ""}` }), words(name)),
    el("span", { class: "muted" }, ` ${whole(number)}, ${percent(number / total, 0)}`))));
  return el("section", { class: "panel" }, el("h3", {}, title), bar, legend);
}

/** Choose a value in the filter bar, as if by hand. */
function setFilter(key, value) {
  const control = document.querySelector(`.filters [data-filter="${key}"]`);
  if (!control) return;
  control.value = control.value === value ? "" : value;
  control.dispatchEvent(new Event("change"));
  control.scrollIntoView({ block: "center" });
}

function countsOf(rows, key) {
  const found = new Map();
  for (const row of rows) found.set(row[key], (found.get(row[key]) || 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1]);
}

function figure(name, value, more) {
  return el("div", { class: "figure" }, el("dt", {}, name), el("dd", {}, value), more || null);
}

function evaluationPage(run) {
  const episodes = run.rows.filter((row) => row.data);
  const rate = run.rates.official, hard = run.rates.hardened;
  const worked = episodes.filter((row) => !patchOnly(row));
  const mean = (key) => (worked.length ? worked.reduce((sum, row) => sum + row[key], 0) / worked.length : null);
  const alike = episodes.map((row) => row.similarity).filter((value) => value !== null);
  const tasks = new Set(run.rows.map((row) => row.task)).size;
  const habits = (run.report && run.report.behaviour) || {}, cost = run.report && run.report.per_episode && run.report.per_episode.cost;
  const pass = Object.entries((run.report && run.report.pass_at_k) || {}).filter(([k]) => k > 1);
  const figures = [
    rate ? figure("resolved", percent(rate.value), interval(rate)) : figure("resolved", "–"),
    hard && rate && hard.resolved !== rate.resolved ? figure("hardened", percent(hard.value), interval(hard)) : null,
    ...pass.slice(-1).map(([k, value]) => figure(`pass@${k}`, percent(value))),
    worked.length ? figure("turns per episode", decimal(mean("turns"), 1)) : null,
    alike.length ? figure("similarity to the expert", decimal(alike.reduce((sum, value) => sum + value, 0) / alike.length)) : null,
    mean("tokens") ? figure("tokens per episode", whole(Math.round(mean("tokens")))) : null,
    worked.length ? figure("time per episode", seconds(mean("seconds"))) : null,
    worked.length && habits.edits > 0 ? figure("edits verified by a run", percent(habits.verified / habits.edits, 0)) : null,
    typeof cost === "number" ? figure("cost per episode", decimal(cost, 4)) : null,
  ];
  const told = rate ? `${whole(rate.resolved)} of ${count(run.rates.graded, "graded sample")} of ${count(tasks, "task")} resolved by the official rules`
    : "no episode is graded yet";
  const same = hard && rate && hard.resolved === rate.resolved ? "; the hardened rules agree" : hard ? "" : rate ? "; no hardened runs were made" : "";
  const others = sweSrl.index.runs.filter((other) => other !== run && other.kind !== "train");
  return el("div", { class: "run" },
    el("h1", {}, visible(run.name), " ", state(run)),
    el("p", { class: "title" }, visible(run.title), el("span", { class: "muted" }, `  ${started(run)}`)),
    el("p", {}, `${told}${same}.`),
    run.notes.map((note) => el("p", { class: "warning" }, visible(note))),
    el("dl", { class: "figures" }, figures),
    run.rows.length ? el("div", { class: "panels" }, shares("Verdicts", countsOf(run.rows, "status"), "verdict"),
      worked.length || !episodes.length ? shares("How episodes ended", countsOf(run.rows, "stop"), "stop") : null, ratesBy(run, "repo", "Repositories"),
      distinct(run, "difficulty").length ? ratesBy(run, "difficulty", "Difficulty") : null) : null,
    others.length ? el("p", { class: "others" }, "Compare with ", others.map((other, place) => [place ? ", " : "", el("a", { href: address("compare", run.name, other.name) }, visible(other.name))])) : null,
    run.rows.length ? episodeTable(run) : el("p", { class: "nothing" }, "This run has no episode yet."),
    provenance(run));
}

/** Resolve rates of the groups that a key makes; a group is a filter of the list when it is clicked. */
function ratesBy(run, key, title) {
  const found = new Map();
  for (const row of run.rows) {
    if (row.official === null || row.official === undefined) continue;
    const [resolved, graded] = found.get(row[key] || "") || [0, 0];
    found.set(row[key] || "", [resolved + (row.official ? 1 : 0), graded + 1]);
  }
  if (!found.size) return null;
  const lines = [...found].sort((a, b) => b[1][1] - a[1][1]).slice(0, 12).map(([name, [resolved, graded]]) => {
    const bar = el("span", { class: "rate" }, el("i"));
    bar.firstChild.style.width = percent(resolved / graded);
    return el("li", {}, el("button", { type: "button", class: "quiet", onclick: () => setFilter(key, name) }, visible(name || "unknown")), bar,
      el("span", { class: "muted" }, `${resolved} of ${graded}`));
  });
  return el("section", { class: "panel repos" }, el("h3", {}, title), el("ul", {}, lines));
}

/** Settings, versions and machine of a run. */
function provenance(run) {
  const { session, starts } = run;
  const rows = [["folder", run.path], ["command", (session.command || []).join(" ")], ["starts", starts], ["last start", moment(session.started)],
    ["machine", session.platform], ["commit", session.git && session.git.commit ? session.git.commit + (session.git.dirty ? ", with changes" : "") : ""],
    ["versions", Object.entries(session.versions || {}).map((pair) => pair.join(" ")).join(", ")]];
  const settings = Object.entries(run.settings).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  const shown = (value) => (typeof value === "object" ? JSON.stringify(value, null, 1) : String(value));
  const table = (pairs) => el("dl", { class: "facts" }, pairs.filter(([, value]) => value !== "" && value !== undefined)
    .map(([name, value]) => [el("dt", {}, name), el("dd", {}, visible(value))]));
  return el("details", { class: "provenance" }, el("summary", {}, "Where these results come from"), table(rows), el("h3", {}, "Settings"),
    table(settings.map(([name, value]) => [name, shown(value)])));
}
