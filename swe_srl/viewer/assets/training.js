// A training run: curves and samples.
"use strict";

const GROUPS = [
  ["Reward", /^(reward_mean|reward_std|group_spread|skipped_share|resolved|hardened|solved)/],
  ["Validation", /^(validation_reward|validation_similarity|validation_resolved|validation_)/],
  ["Policy", /^(entropy|kl|clip_share|ratio_mean|logprob_gap|loss|grad_norm|learning_rate)/],
  ["Completions", /^(format_errors|unfinished|completion_tokens|turns|thought)/],
  ["Parts of the reward", /^reward_part\//],
  ["Cost", /^(seconds\/|memory_mb|sampled_tokens|updated_tokens|sharing_ratio|drawn_groups|kept_groups|sampling_rounds|too_long)/],
];
const FOLDED = new Set(["Parts of the reward", "Cost"]);

function trainingPage(run) {
  const body = el("div", {}, el("p", { class: "nothing" }, "Loading…"));
  sweSrl.load(run.data).then((content) => {
    body.replaceChildren();
    append(body, [curvesView(content), samplesView(content)]);
  }, (error) => body.replaceChildren(el("p", { class: "warning" }, error.message)));
  return el("div", { class: "run" }, el("h1", {}, visible(run.name), " ", state(run)),
    el("p", { class: "title" }, visible(run.title), el("span", { class: "muted" }, `  ${started(run)}, ${count(run.updates, "update")}`)), body, provenance(run));
}

function curvesView(content) {
  const names = Object.keys(content.curves);
  if (!names.length) return el("p", { class: "nothing" }, "This run has no update yet.");
  const last = Math.max(...content.stages.map((stage) => stage.begin + stage.updates));
  const left = new Set(names);
  const sections = [...GROUPS, ["Others", /./]].map(([title, pattern]) => {
    const chosen = names.filter((name) => left.has(name) && pattern.test(name));
    chosen.forEach((name) => left.delete(name));
    if (!chosen.length) return null;
    chosen.sort((a, b) => rank(pattern, a) - rank(pattern, b) || a.localeCompare(b));
    const fill = () => chosen.map((name) => chart(name, content.curves[name], last, content.stages, content.chosen));
    if (!FOLDED.has(title)) return el("section", {}, el("h2", {}, title), el("div", { class: "plots" }, fill()));
    const plots = el("div", { class: "plots" });
    const folded = el("details", { class: "folded" }, el("summary", {}, title), plots);
    folded.addEventListener("toggle", () => { if (folded.open && !plots.children.length) append(plots, fill()); });
    return folded;
  });
  const stages = content.stages.length > 1 ? ` Stages: ${content.stages.map((stage) => `${stage.method} (${stage.updates})`).join(", ")}; dotted lines are where they begin.` : "";
  const kept = content.chosen.length ? " The dashed line is the update whose model was kept." : "";
  return [el("p", { class: "muted" }, `Figures by update.${stages}${kept}`), sections];
}

/** The most telling figure of a group first: the one that its pattern names first. */
function rank(pattern, name) {
  const order = pattern.source.replace(/[\^()\\/]/g, "").split("|");
  const found = order.findIndex((word) => name.startsWith(word));
  return found < 0 ? order.length : found;
}

function samplesView(content) {
  if (!content.samples.length) return el("section", {}, el("h2", {}, "Samples"), el("p", { class: "nothing" }, "No samples were written down yet."));
  const items = content.samples.map((sample, place) => {
    const folded = el("details", { class: "group", id: `sample-${place}` }, el("summary", {}, el("b", {}, `update ${sample.update}`), " ", el("span", { class: "name" }, visible(sample.title)),
      sample.completions ? rewardDots(sample.completions) : rewardDots(sample.episodes)));
    folded.addEventListener("toggle", () => {
      if (folded.open && folded.children.length === 1) append(folded, sample.completions ? completionsView(sample) : rolloutsView(sample));
    });
    if (place === content.samples.length - 1) queueMicrotask(() => { folded.open = true; });
    return folded;
  });
  const left = content.samples_left_out ? el("p", { class: "muted" }, `${whole(content.samples_left_out)} older ones are left out.`) : null;
  return el("section", { class: "samples" }, el("h2", {}, "Samples beside their targets"), left, items.reverse());
}

const rewardDots = (samples) => el("span", { class: "rewards" }, samples.map((one) => {
  const dot = el("i", { title: `reward ${decimal(one.reward)}` });
  dot.style.setProperty("--reward", Math.max(0, Math.min(1, one.reward)));
  if (one.reward < 0) dot.className = "minus";
  return dot;
}));

/** Equal completions are shown once, the best first. */
function completionsView(sample) {
  const groups = new Map();
  for (const one of sample.completions) {
    const found = groups.get(one.text);
    if (found) found.times += 1;
    else groups.set(one.text, { ...one, times: 1 });
  }
  const rows = [...groups.values()].sort((a, b) => b.reward - a.reward).map((one) => el("article", { class: one.reward < 0 ? "completion malformed" : "completion" },
    el("div", { class: "earned" }, el("b", {}, decimal(one.reward)), one.advantage === undefined ? null : el("span", { class: one.advantage > 0 ? "plus" : one.advantage < 0 ? "minus" : null, title: "advantage" }, `${one.advantage > 0 ? "+" : ""}${decimal(one.advantage, 2)}`),
      one.times > 1 ? el("span", { class: "muted" }, `× ${one.times}`) : null, el("span", { class: "muted" }, `${one.tokens} tokens`)),
    el("div", {}, one.malformed ? el("p", { class: "warning" }, visible(one.malformed)) : null, outputBlock(one.text, "command"))));
  return [el("div", { class: "target" }, el("p", { class: "label" }, "target"), el("pre", { class: "command" }, terminal(sample.target))), rows];
}

function rolloutsView(sample) {
  return sample.episodes.map((one) => el("article", { class: "completion" },
    el("div", { class: "earned" }, el("b", {}, decimal(one.reward)), el("span", {}, words(one.verdict || "")), el("span", { class: "muted" }, words(one.stop || ""))),
    el("div", {}, (one.completions || []).map((text) => outputBlock(text, "command")), one.patch ? diffView(one.patch) : el("p", { class: "silent" }, "empty patch"))));
}
