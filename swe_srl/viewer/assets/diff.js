// A patch as coloured files, hunks and lines.
"use strict";

/** The files of a git diff: their name and lines; each line has its sign, numbers and text. */
function parseDiff(patch) {
  const files = [];
  let file = null, old = 0, fresh = 0, left = [0, 0];
  for (const text of patch.replace(/\n$/, "").split("\n")) {
    const inside = file !== null && (left[0] > 0 || left[1] > 0);
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/.exec(text);
    if (!inside && text.startsWith("diff --git ")) {
      file = { name: text.slice(11), added: 0, removed: 0, lines: [], notes: [] };
      files.push(file);
    } else if (!inside && hunk && file) {
      [old, fresh] = [Number(hunk[1]), Number(hunk[3])];
      left = [hunk[2] === undefined ? 1 : Number(hunk[2]), hunk[4] === undefined ? 1 : Number(hunk[4])];
      file.lines.push({ sign: "@", text: `@@ ${old} → ${fresh} @@${hunk[5]}` });
    } else if (inside && (text[0] === "+" || text[0] === "-" || text[0] === " " || text === "")) {
      const sign = text[0] || " ";
      file.lines.push({ sign, text: text.slice(1), old: sign === "+" ? "" : old, fresh: sign === "-" ? "" : fresh });
      if (sign !== "+") { old += 1; left[0] -= 1; }
      if (sign !== "-") { fresh += 1; left[1] -= 1; }
      if (sign === "+") file.added += 1;
      if (sign === "-") file.removed += 1;
    } else if (file && text.startsWith("\\ ")) {
      file.lines.push({ sign: " ", text, old: "", fresh: "" });
    } else if (file) {
      const named = /^\+\+\+ b\/(.*)$/.exec(text) || /^--- a\/(.*)$/.exec(text);
      if (named) file.name = named[1];
      else if (!/^(index |--- |\+\+\+ )/.test(text)) file.notes.push(text);
    } else {
      file = { name: "", added: 0, removed: 0, lines: [], notes: [text] };
      files.push(file);
    }
  }
  return files;
}

/** Where two texts begin and stop to differ: [common start, common end]. */
function difference(first, second) {
  const shorter = Math.min(first.length, second.length);
  let start = 0, end = 0;
  while (start < shorter && first[start] === second[start]) start += 1;
  while (end < shorter - start && first[first.length - 1 - end] === second[second.length - 1 - end]) end += 1;
  return [start, end];
}

/** A text with the part marked in which it differs from another one; no mark where little is alike. */
function marked(text, other, name) {
  const [start, end] = difference(text, other);
  if (text === other || start + end < 4 || start + end === text.length) return [terminal(text)];
  const middle = el("mark", { class: name }, terminal(text.slice(start, text.length - end)));
  return [terminal(text.slice(0, start)), middle, terminal(text.slice(text.length - end))];
}

const DIFF_LINES = 400;

function diffView(patch) {
  return el("div", { class: "diff" }, parseDiff(patch).map(diffFile));
}

function diffFile(file) {
  const lines = el("div", { class: "lines" });
  const shown = file.lines.slice(0, DIFF_LINES);
  append(lines, file.notes.map((note) => el("div", { class: "line note" }, el("code", {}, visible(note)))));
  append(lines, shown.map((line, place) => diffLine(line, partner(shown, place))));
  if (file.lines.length > DIFF_LINES) {
    const more = el("button", { type: "button", class: "more" }, `show ${whole(file.lines.length - DIFF_LINES)} more lines`);
    more.addEventListener("click", () => {
      more.remove();
      append(lines, file.lines.slice(DIFF_LINES).map((line) => diffLine(line, null)));
    });
    lines.append(more);
  }
  const size = [el("b", { class: "plus" }, `+${file.added}`), " ", el("b", { class: "minus" }, `−${file.removed}`)];
  return el("details", { class: "file", open: true },
    el("summary", {}, el("code", {}, visible(file.name)), el("span", { class: "size" }, size)), lines);
}

/** The line that replaces this one, when exactly one line was replaced by one. */
function partner(lines, place) {
  const line = lines[place], step = line.sign === "-" ? 1 : line.sign === "+" ? -1 : 0;
  const other = step && lines[place + step];
  if (!other || other.sign === line.sign || other.sign === " " || other.sign === "@") return null;
  const before = lines[place - step], after = lines[place + 2 * step];
  const alone = (one, sign) => !one || one.sign !== sign;
  return alone(before, line.sign) && alone(after, other.sign) ? other : null;
}

function diffLine(line, other) {
  const kind = { "+": "added", "-": "removed", "@": "hunk", " ": "" }[line.sign];
  const text = other ? marked(line.text, other.text, "changed") : [terminal(line.text)];
  return el("div", { class: `line ${kind}` },
    el("span", { class: "number" }, line.old), el("span", { class: "number" }, line.fresh),
    el("span", { class: "sign", "aria-hidden": "true" }, line.sign === "@" ? "" : line.sign), el("code", {}, text));
}
