// Lists of episodes: their filters, which hold for the list, its sidebar and the way from episode to episode.
"use strict";

const filters = new Map(); // by run
const NO_FILTER = { text: "", verdict: "", repo: "", difficulty: "", stop: "", differ: false };

/** The filters of a run; they last as long as the page is open. */
function filtersOf(run) {
  if (!filters.has(run.name)) {
    filters.set(run.name, { ...NO_FILTER, texts: null });
  }
  return filters.get(run.name);
}

const differs = (row) => row.hardened !== null && row.hardened !== undefined && row.official !== row.hardened;
const flagged = (row) => (row.flags || []).some((flag) => flag !== "same-user" && flag !== "no-canaries");

/** The places in `run.rows` of the episodes that the filters let through. */
function passing(run) {
  const now = filtersOf(run);
  const wanted = now.text.toLowerCase().split(/\s+/).filter(Boolean);
  const places = [];
  run.rows.forEach((row, place) => {
    if (now.verdict && !(now.verdict === "not resolved" ? row.official !== true : row.status === now.verdict)) return;
    if (now.repo && row.repo !== now.repo) return;
    if (now.difficulty && row.difficulty !== now.difficulty) return;
    if (now.stop && row.stop !== now.stop) return;
    if (now.differ && !differs(row)) return;
    if (wanted.length) {
      row.text ??= [row.task, row.repo, row.issue, row.reason, ...(row.flags || [])].join("\n").toLowerCase();
      const commands = now.texts ? now.texts[place] || "" : "";
      if (!wanted.every((word) => row.text.includes(word) || commands.includes(word))) return;
    }
    places.push(place);
  });
  return places;
}

const distinct = (run, key) => [...new Set(run.rows.map((row) => row[key]).filter(Boolean))].sort();

/** The controls of a run's filters; `changed` is called after every change. */
function filterBar(run, changed) {
  const now = filtersOf(run);
  const search = el("input", { type: "search", id: "search", placeholder: "Search tasks, issues, commands", "aria-label": "Search tasks, issues, commands", autocomplete: "off", spellcheck: "false" });
  search.value = now.text;
  search.addEventListener("input", () => {
    now.text = search.value;
    changed();
    if (!now.texts && run.search) {
      now.texts = {};
      sweSrl.load(run.search).then((texts) => {
        for (const [place, text] of Object.entries(texts)) now.texts[place] = text.toLowerCase();
        changed();
      }, () => {});
    }
  });
  const choice = (key, title, values, label = words) => {
    const made = el("select", { "aria-label": title, "data-filter": key }, el("option", { value: "" }, title),
      values.map((value) => el("option", { value }, visible(label(value)))));
    made.value = now[key];
    made.addEventListener("change", () => { now[key] = made.value; changed(); });
    return made;
  };
  const verdicts = distinct(run, "status");
  const parts = [search, choice("verdict", "Any verdict", [...verdicts, "not resolved"])];
  if (distinct(run, "repo").length > 1) parts.push(choice("repo", "Any repository", distinct(run, "repo"), (name) => name));
  if (distinct(run, "difficulty").length > 1) parts.push(choice("difficulty", "Any difficulty", distinct(run, "difficulty"), (name) => name));
  parts.push(choice("stop", "Any end", distinct(run, "stop")));
  if (run.rates.hardened) {
    const box = el("input", { type: "checkbox", "data-filter": "differ" });
    box.checked = now.differ;
    box.addEventListener("change", () => { now.differ = box.checked; changed(); });
    parts.push(el("label", { class: "check" }, box, "official ≠ hardened"));
  }
  return el("div", { class: "filters", role: "search" }, parts);
}

/** A name with its sample, when the run has several of each task. */
function episodeName(run, row) {
  run.samples ??= Math.max(0, ...run.rows.map((one) => one.sample));
  return run.samples ? [visible(row.task), el("span", { class: "sample" }, `#${row.sample}`)] : [visible(row.task)];
}

const episodeAddress = (run, row, ...more) => address(run.name, row.task, row.sample, ...more);

/** The list of a run's page: one line for each episode. */
function episodeTable(run) {
  const list = el("ol", { class: "episodes" });
  const empty = el("p", { class: "nothing" }, "No episode passes these filters. ", el("button", { type: "button", class: "quiet", onclick: () => clear() }, "Clear them"));
  const counted = el("p", { class: "counted", "aria-live": "polite" });
  const lines = run.rows.map((row) => {
    const bar = row.similarity === null || row.similarity === undefined ? el("span")
      : el("span", { class: "alike", title: "mean similarity to the expert's commands" }, meter(row.similarity), row.similarity.toFixed(2));
    const about = [verdictMark(row), differs(row) ? el("span", { class: "mark differ", title: row.reason }, "not hardened") : null,
      flagged(row) ? el("span", { class: "mark flag", title: row.flags.join(", ") }, "flagged") : null];
    const inside = [el("span", { class: "marks" }, about), el("span", { class: "name" }, episodeName(run, row)),
      el("span", { class: "issue" }, visible(row.data ? row.issue : row.reason)), bar,
      el("span", { class: "how" }, row.data && !patchOnly(row) ? `${count(row.turns, "turn")}, ${words(row.stop)}` : ""),
      el("span", { class: "time" }, row.data && !patchOnly(row) ? seconds(row.seconds) : "")];
    return el("li", {}, row.data ? el("a", { href: episodeAddress(run, row) }, inside) : el("div", { class: "lost" }, inside));
  });
  append(list, lines);
  const update = () => {
    const places = new Set(passing(run));
    lines.forEach((line, place) => { line.hidden = !places.has(place); });
    empty.hidden = places.size > 0 || !run.rows.length;
    counted.textContent = places.size === run.rows.length ? count(places.size, "episode")
      : `${whole(places.size)} of ${count(run.rows.length, "episode")}`;
  };
  const bar = filterBar(run, update);
  function clear() {
    Object.assign(filtersOf(run), NO_FILTER);
    const fresh = filterBar(run, update);
    document.querySelector(".filters").replaceWith(fresh);
    update();
  }
  update();
  return el("section", { class: "all" }, bar, counted, list, empty);
}

/** The list beside an episode. */
function episodeSidebar(run, here) {
  const items = passing(run).filter((place) => run.rows[place].data).map((place) => {
    const row = run.rows[place];
    return el("li", {}, el("a", { href: episodeAddress(run, row), class: place === here ? "here" : null, "aria-current": place === here ? "page" : null },
      el("i", { class: `dot ${row.status}`, title: words(row.status) }), el("span", { class: "name" }, episodeName(run, row))));
  });
  const all = run.rows.length, some = items.length;
  return el("aside", { class: "side", "aria-label": "Episodes" },
    el("p", { class: "counted" }, some === all ? count(all, "episode") : `${whole(some)} of ${count(all, "episode")}`),
    el("ol", {}, items));
}

/** The nearest episode before (-1) or after (1) a place that the filters let through; -1 when there is none. */
function neighbour(run, here, step) {
  const places = passing(run).filter((place) => run.rows[place].data);
  const found = step > 0 ? places.find((place) => place > here) : places.filter((place) => place < here).at(-1);
  return found === undefined ? -1 : found;
}
