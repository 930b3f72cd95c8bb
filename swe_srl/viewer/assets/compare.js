// Two evaluation runs, task by task.
"use strict";

/** Outcomes of a run by task: its rows, and the share of graded samples that is resolved. */
function outcomes(run) {
  const found = new Map();
  run.rows.forEach((row) => {
    if (!found.has(row.task)) found.set(row.task, { rows: [], graded: 0, resolved: 0 });
    const one = found.get(row.task);
    one.rows.push(row);
    if (row.official !== null && row.official !== undefined) {
      one.graded += 1;
      one.resolved += row.official ? 1 : 0;
    }
  });
  return found;
}

/** The measured difference b - a, turned round when it was measured the other way; null when it was not. */
function measured(a, b) {
  for (const pair of sweSrl.index.comparisons) {
    if (pair.a === a.name && pair.b === b.name) return pair;
    if (pair.a === b.name && pair.b === a.name) {
      const { value, low, high } = pair.difference;
      return { ...pair, rate_a: pair.rate_b, rate_b: pair.rate_a, difference: { value: -value, low: -high, high: -low } };
    }
  }
  return null;
}

const dots = (one) => el("span", { class: "dots" }, one ? one.rows.map((row) => el("i", { class: `dot ${row.status}`, title: words(row.status) })) : el("span", { class: "muted" }, "–"));

function comparePage(a, b) {
  const first = outcomes(a), second = outcomes(b);
  const tasks = [...new Set([...first.keys(), ...second.keys()])];
  const rows = tasks.map((task) => {
    const [one, other] = [first.get(task), second.get(task)];
    const change = one && other && one.graded && other.graded ? other.resolved / other.graded - one.resolved / one.graded : null;
    return { task, one, other, change, kind: change === null ? "only" : change > 0 ? "gained" : change < 0 ? "lost" : "same" };
  });
  const order = { lost: 0, gained: 1, same: 2, only: 3 };
  rows.sort((x, y) => order[x.kind] - order[y.kind] || Math.abs(y.change || 0) - Math.abs(x.change || 0));
  const names = { gained: "better", lost: "worse", same: "unchanged", only: "only in one" };
  const pair = measured(a, b);
  const head = pair ? el("p", { class: "verdictline" }, el("b", { class: pair.difference.value > 0 ? "plus" : pair.difference.value < 0 ? "minus" : null }, points(pair.difference.value)),
    ` from ${percent(pair.rate_a.value)} to ${percent(pair.rate_b.value)} over ${count(pair.tasks, "task")}; 95% interval ${signed(pair.difference.low)} to ${points(pair.difference.high)}, paired by task`,
    pair.p_value === null ? "" : `; McNemar's exact test p = ${decimal(pair.p_value)}`, ".") : null;
  const warning = pair && pair.other_rows ? el("p", { class: "warning" }, "The runs did not read their tasks from the same place and contents, so tasks of the same name may be different ones.") : null;
  const chosen = new Set(["gained", "lost"]);
  if (!rows.some((row) => chosen.has(row.kind))) chosen.add("same").add("only");
  const list = el("ol", { class: "changes" }, rows.map((row) => el("li", { "data-kind": row.kind }, el("a", { href: address("compare", a.name, b.name, row.task) },
    el("span", { class: "name" }, visible(row.task)), dots(row.one), el("span", { class: "arrow", "aria-hidden": "true" }, "→"), dots(row.other),
    el("span", { class: row.kind === "gained" ? "plus" : row.kind === "lost" ? "minus" : "muted" }, row.change ? points(row.change, 0) : names[row.kind])))));
  const show = () => { for (const item of list.children) item.hidden = !chosen.has(item.dataset.kind); };
  const boxes = Object.keys(names).map((kind) => {
    const box = el("input", { type: "checkbox", "data-kind": kind });
    box.checked = chosen.has(kind);
    box.addEventListener("change", () => { if (box.checked) chosen.add(kind); else chosen.delete(kind); show(); });
    return el("label", { class: "check" }, box, `${names[kind]} (${rows.filter((row) => row.kind === kind).length})`);
  });
  show();
  return el("div", { class: "run" }, el("h1", {}, visible(a.name), " → ", visible(b.name)), chooser(a, b), head, warning, el("div", { class: "filters" }, boxes), list);
}

/** Which two runs are compared. */
function chooser(a, b) {
  const runs = sweSrl.index.runs.filter((run) => run.kind !== "train");
  const select = (now, title, go) => {
    const made = el("select", { "aria-label": title }, runs.map((run) => el("option", { value: run.name }, visible(run.name))));
    made.value = now.name;
    made.addEventListener("change", () => { location.hash = go(made.value); });
    return made;
  };
  return el("p", { class: "chooser" }, select(a, "First run", (name) => address("compare", name, b.name)), " → ", select(b, "Second run", (name) => address("compare", a.name, name)),
    el("a", { class: "quiet", href: address("compare", b.name, a.name) }, "the other way round"));
}

/** One task in two runs, side by side. */
function besidePage(a, b, task) {
  const side = (run) => {
    const rows = run.rows.filter((row) => row.task === task && row.data);
    const body = el("div", { class: "body" });
    const show = (row) => {
      body.replaceChildren(el("p", { class: "nothing" }, "Loading…"));
      sweSrl.load(row.data).then((page) => {
        page.hardened_known = row.hardened !== null;
        body.replaceChildren();
        append(body, [el("p", { class: "summary" }, verdictMark(row), el("span", { class: "fact" }, count(row.turns, "turn")), el("span", { class: "fact" }, words(row.stop)),
          el("a", { href: episodeAddress(run, row) }, "open alone")), episodeView(row, page, null)]);
      }, (error) => body.replaceChildren(el("p", { class: "warning" }, error.message)));
    };
    const tabs = rows.map((row) => el("button", { type: "button", class: "tab", onclick: (event) => {
      for (const tab of event.currentTarget.parentNode.children) tab.classList.toggle("here", tab === event.currentTarget);
      show(row);
    } }, el("i", { class: `dot ${row.status}` }), `#${row.sample}`));
    if (rows.length) { tabs[0].classList.add("here"); show(rows[0]); } else body.append(el("p", { class: "nothing" }, "This run has no episode of the task."));
    return el("section", { class: "beside" }, el("h2", {}, el("a", { href: address(run.name) }, visible(run.name))), rows.length > 1 ? el("div", { class: "tabs" }, tabs) : null, body);
  };
  return el("div", { class: "two" }, el("h1", {}, visible(task)), el("div", { class: "columns" }, side(a), side(b)));
}
