// Addresses, keyboard, theme.
"use strict";

const at = { run: null, row: -1, turn: -1, kind: "" }; // what is shown

sweSrl.start = function start() {
  window.addEventListener("hashchange", route);
  document.addEventListener("keydown", onKey);
  document.getElementById("help").addEventListener("click", showKeys);
  document.getElementById("theme").addEventListener("click", nextTheme);
  setTheme(stored("swe-srl-theme") || "auto");
  route();
};

/** Show what the address names: #run/task/sample/turn, #compare/run/run/task. */
function route() {
  const parts = location.hash.slice(1).split("/").filter(Boolean).map(decoded);
  if (parts[0] === "compare") {
    const [a, b] = [runNamed(parts[1]), runNamed(parts[2])];
    if (!a || !b || a.kind === "train" || b.kind === "train") return missing(parts.slice(1, 3).join(" and "));
    const task = parts[3];
    if (task !== undefined) return show("beside", besidePage(a, b, task), [["", "Runs"], [address("compare", a.name, b.name), `${a.name} → ${b.name}`], ["", task]]);
    return show("compare", comparePage(a, b), [["", "Runs"], ["", `${a.name} → ${b.name}`]]);
  }
  if (!parts.length) return show("home", homePage(), [["", "swe-srl"]]);
  const run = runNamed(parts[0]);
  if (!run) return missing(parts[0]);
  if (parts.length === 1 || run.kind === "train") {
    return show("run", run.kind === "train" ? trainingPage(run) : evaluationPage(run), [["", "Runs"], ["", run.name]], run);
  }
  const here = run.rows.findIndex((row) => row.task === parts[1] && row.sample === Number(parts[2] || 0) && row.data);
  if (here < 0) return missing(parts.slice(0, 3).join(", "));
  const turn = parts[3] === undefined ? -1 : Number(parts[3]);
  if (at.kind === "episode" && at.run === run && at.row === here) return select(turn);
  const page = episodePage(run, here, () => select(turn));
  show("episode", page, [["", "Runs"], [address(run.name), run.name], ["", run.samples ? `${parts[1]} #${run.rows[here].sample}` : parts[1]]], run);
  Object.assign(at, { row: here, turn });
  const current = document.querySelector(".side .here");
  if (current) current.scrollIntoView({ block: "nearest" });
  return undefined;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const runNamed = (name) => sweSrl.index.runs.find((run) => run.name === name);

function missing(what) {
  show("missing", el("div", { class: "home" }, el("h1", {}, "Not here"), el("p", {}, `These pages hold nothing of the name ${visible(what)}.`), el("p", {}, el("a", { href: "#" }, "All runs"))), [["", "Runs"]]);
}

function show(kind, page, crumbs, run = null) {
  const links = crumbs.map(([to, name], place) => {
    const last = place === crumbs.length - 1;
    return [place ? el("span", { class: "slash", "aria-hidden": "true" }, "/") : null,
      last && place ? el("span", { class: "now" }, visible(name)) : el("a", { href: to || "#" }, visible(name))];
  });
  document.getElementById("crumbs").replaceChildren(append(document.createDocumentFragment(), links));
  document.getElementById("page").replaceChildren(page);
  document.title = crumbs.length > 1 ? `${visible(crumbs.at(-1)[1])} · swe-srl` : "swe-srl";
  Object.assign(at, { kind, run, row: -1, turn: -1 });
  window.scrollTo(0, 0);
}

/** Mark a turn of the episode that is shown, and bring it into sight. */
function select(turn) {
  for (const marked_ of document.querySelectorAll(".selected")) marked_.classList.remove("selected");
  at.turn = turn;
  const found = turn < 0 ? null : document.querySelector(`.turn[data-turn="${Number(turn)}"]`);
  if (!found) return;
  found.classList.add("selected");
  const square = document.querySelectorAll(".map .square")[turn];
  if (square) square.classList.add("selected");
  found.scrollIntoView({ block: "start" });
}

const KEYS = [["j, k", "next, previous turn, or line of a list"], ["n, p", "next, previous episode"], ["Enter", "open the line"], ["/", "search"],
  ["e", "show or hide the expert"], ["u", "up"], ["t", "light, dark, as the system has it"], ["?", "this list"]];

function showKeys() {
  const dialog = document.getElementById("keys");
  const lines = KEYS.map(([keys, what]) => [el("dt", {}, keys.split(", ").map((key) => el("kbd", {}, key))), el("dd", {}, what)]);
  dialog.replaceChildren(el("h2", {}, "Keyboard"), el("dl", {}, lines), el("form", { method: "dialog" }, el("button", { class: "quiet" }, "Close")));
  dialog.showModal();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const dialog = document.getElementById("keys"), typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
  if (dialog.open) {
    if (event.key === "?") dialog.close();
    return;
  }
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = { j: () => move(1), k: () => move(-1), n: () => hop(1), p: () => hop(-1), "/": search, "?": showKeys, u: up, t: nextTheme,
    e: () => document.body.classList.toggle("alone") }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

/** The next or previous turn of an episode, or line of a list. */
function move(step) {
  if (at.kind === "episode") {
    const turns = document.querySelectorAll(".turn").length;
    const next = at.turn < 0 ? (step > 0 ? 0 : turns - 1) : Math.min(turns - 1, Math.max(0, at.turn + step));
    if (turns) location.replace(episodeAddress(at.run, at.run.rows[at.row], next));
    return;
  }
  const lines = [...document.querySelectorAll("main ol li:not([hidden]) > a, .cards > a:not([hidden])")];
  const now = lines.indexOf(document.activeElement);
  const next = lines[now < 0 ? (step > 0 ? 0 : lines.length - 1) : Math.min(lines.length - 1, Math.max(0, now + step))];
  if (next) next.focus();
}

/** The next or previous episode that the filters let through. */
function hop(step) {
  if (at.kind !== "episode") return;
  const next = neighbour(at.run, at.row, step);
  if (next >= 0) location.hash = episodeAddress(at.run, at.run.rows[next]);
}

function search() {
  if (at.kind === "episode") location.hash = address(at.run.name);
  setTimeout(() => { const field = document.getElementById("search"); if (field) { field.focus(); field.select(); } }, 0);
}

function up() {
  const links = [...document.querySelectorAll("#crumbs a")];
  if (links.length) location.hash = links.at(-1).getAttribute("href");
}

const THEMES = ["auto", "light", "dark"];

function setTheme(name) {
  const theme = THEMES.includes(name) ? name : "auto";
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.textContent = { auto: "◐", light: "☀", dark: "☾" }[theme];
  button.setAttribute("aria-label", { auto: "Colours as the system has them", light: "Light", dark: "Dark" }[theme]);
}

function nextTheme() {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  setTheme(next);
  try {
    localStorage.setItem("swe-srl-theme", next);
  } catch { /* pages from a disk may have no storage: the theme then lasts as long as the page */ }
}

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
