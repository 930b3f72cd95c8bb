// What a terminal was sent, as elements: colours are shown, every other control character is made visible.
"use strict";

const PIECES = /\u001b\[([0-9;:]*)m|\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_]?)|\r\n|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A control character as something that can be seen. */
function pictured(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `\u2039U+${code.toString(16).toUpperCase().padStart(4, "0")}\u203a`;
}

/** A short text with its control characters made visible: for names and titles. */
function visible(text) {
  return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, pictured);
}

/** The elements of a text with ANSI escapes. */
function terminal(text) {
  const made = document.createDocumentFragment();
  let style = {}, from = 0;
  const put = (part, controls) => {
    if (!part) return;
    if (controls) made.append(el("span", { class: "control" }, part));
    else made.append(styled(part, style));
  };
  for (const match of text.matchAll(PIECES)) {
    put(text.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[1] !== undefined) style = selected(style, match[1]);
    else if (match[0] === "\r\n") put("\n");
    else if (match[0] === "\r") put("\u240d\n", true);
    else put(Array.from(match[0]).map((one) => (/[ -~]/.test(one) ? one : pictured(one))).join(""), true);
  }
  put(text.slice(from));
  return made;
}

function styled(text, style) {
  const names = Object.entries(style).filter(([name, on]) => on === true).map(([name]) => name);
  for (const side of ["fg", "bg"]) if (Number.isInteger(style[side])) names.push(`${side}${style[side]}`);
  if (!names.length && !style.fg && !style.bg) return document.createTextNode(text);
  const made = el("span", { class: names.join(" ") || null }, text);
  if (typeof style.fg === "string") made.style.color = style.fg;
  if (typeof style.bg === "string") made.style.backgroundColor = style.bg;
  return made;
}

/** The style after one SGR sequence: its parameters, separated by semicolons or colons. */
function selected(style, parameters) {
  let now = { ...style };
  const codes = parameters.split(/[;:]/).map((code) => Number(code || 0));
  while (codes.length) {
    const code = codes.shift();
    if (code === 0) now = {};
    else if (code === 1) now.bold = true;
    else if (code === 2) now.faint = true;
    else if (code === 3) now.italic = true;
    else if (code === 4) now.underline = true;
    else if (code === 7) now.inverse = true;
    else if (code === 9) now.struck = true;
    else if (code === 22) now.bold = now.faint = false;
    else if (code === 23) now.italic = false;
    else if (code === 24) now.underline = false;
    else if (code === 27) now.inverse = false;
    else if (code === 29) now.struck = false;
    else if (code >= 30 && code <= 37) now.fg = code - 30;
    else if (code >= 40 && code <= 47) now.bg = code - 40;
    else if (code >= 90 && code <= 97) now.fg = code - 82;
    else if (code >= 100 && code <= 107) now.bg = code - 92;
    else if (code === 39) delete now.fg;
    else if (code === 49) delete now.bg;
    else if (code === 38 || code === 48) now[code === 38 ? "fg" : "bg"] = extended(codes);
  }
  return now;
}

/** The colour of `38;5;n` and `38;2;r;g;b`: a number below 16, or a CSS colour. Takes what it reads. */
function extended(codes) {
  const kind = codes.shift();
  if (kind === 2) return `rgb(${codes.splice(0, 3).map((part) => Math.min(255, part || 0)).join(",")})`;
  const number = Math.min(255, codes.shift() || 0);
  if (number < 16) return number;
  if (number >= 232) return `rgb(${Array(3).fill(8 + 10 * (number - 232)).join(",")})`;
  const level = (value) => (value ? 55 + 40 * value : 0);
  const place = number - 16;
  return `rgb(${[Math.floor(place / 36), Math.floor(place / 6) % 6, place % 6].map(level).join(",")})`;
}

const FOLD_LINES = 24, FOLD_CHARACTERS = 6000;

/** A block of terminal output. Of a long one the beginning and the end; a button brings the rest. */
function outputBlock(text, name = "output") {
  const block = el("pre", { class: name });
  const lines = text.split("\n");
  if (lines.length <= FOLD_LINES + 6 && text.length <= FOLD_CHARACTERS) {
    block.append(terminal(text));
    return block;
  }
  const short = (part, end) => (part.length <= FOLD_CHARACTERS / 2 ? part
    : end ? part.slice(-FOLD_CHARACTERS / 2) : part.slice(0, FOLD_CHARACTERS / 2));
  const few = lines.length <= FOLD_LINES;
  const head = short(few ? text.slice(0, FOLD_CHARACTERS / 2) : lines.slice(0, FOLD_LINES / 2).join("\n"), false);
  const tail = short(few ? text.slice(-FOLD_CHARACTERS / 2) : lines.slice(-FOLD_LINES / 2).join("\n"), true);
  const left = few ? count(text.length - head.length - tail.length, "character")
    : count(lines.length - FOLD_LINES, "line");
  const more = el("button", { type: "button", class: "more" }, `show ${left} more`);
  more.addEventListener("click", () => {
    block.replaceChildren(terminal(text));
    block.classList.add("whole");
  });
  append(block, [terminal(head), more, terminal(tail)]);
  return block;
}
