// Data, elements, words. Text from runs enters the page as text nodes only: see `el`.
"use strict";

const sweSrl = {
  index: null,
  _received: new Map(),
  _loading: new Map(),

  /** Called by every data script. */
  receive(name, value) {
    if (name === "index") {
      this.index = value;
      this.start();
      return;
    }
    this._received.set(name, value);
  },

  /** The value of a data script, which is loaded when it is first asked for. The newest 40 are kept. */
  load(name) {
    if (this._received.has(name)) {
      const value = this._received.get(name);
      this._received.delete(name);
      this._received.set(name, value);
      return Promise.resolve(value);
    }
    if (!this._loading.has(name)) {
      this._loading.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        const end = (settle) => {
          script.remove();
          this._loading.delete(name);
          settle();
        };
        script.onload = () => end(() => {
          const value = this._received.get(name);
          if (this._received.size > 40) this._received.delete(this._received.keys().next().value);
          resolve(value);
        });
        script.onerror = () => end(() => reject(new Error(`data/${name}.js cannot be read`)));
        document.head.append(script);
      }));
    }
    return this._loading.get(name);
  },
};

/** An element. Children are elements, texts, or lists of them; null is left out. */
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "href" && !String(value).startsWith("#")) throw new Error("a link leads within the pages");
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  append(made, children);
  return made;
}

function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return parent;
}

/** The address of a place within the pages. */
function address(...parts) {
  return `#${parts.map((part) => encodeURIComponent(String(part))).join("/")}`;
}

const WORDS = {
  resolved: "resolved", unresolved: "unresolved", empty_patch: "empty patch", patch_failed: "patch failed",
  timeout: "tests timed out", infrastructure: "infrastructure", ungraded: "not graded", submitted: "submitted",
  turn_limit: "turn limit", token_limit: "token limit", time_limit: "time limit", policy_done: "policy done",
  format_errors: "format errors", unknown: "unknown",
};
const words = (name) => WORDS[name] || String(name).replaceAll("_", " ");

/** A graded prediction: a patch, and nothing known of how it was made. */
const patchOnly = (row) => !row.turns && row.stop === "unknown";

const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)}%`);
const whole = (value) => Number(value).toLocaleString("en-US");
const count = (number, noun, plural) => `${whole(number)} ${number === 1 ? noun : plural || `${noun}s`}`;

function decimal(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  if (Number.isInteger(value)) return whole(value);
  return Math.abs(value) >= 1000 ? whole(Math.round(value)) : value.toFixed(digits).replace(/\.?0+$/, "");
}

function seconds(value) {
  if (!value) return "0 s";
  if (value < 0.95) return `${Math.max(1, Math.round(value * 1000))} ms`;
  return value < 100 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

const moment = (text) => String(text || "").replace("T", " ").replace(/(:\d\d)(\.\d+)?(\+00:00|Z)$/, "$1 UTC");

/** What became of an episode, as a small mark of colour and word. */
function verdictMark(row) {
  return el("span", { class: `mark ${row.status}` }, words(row.status));
}

/** How alike two commands are, as a bar. */
function meter(value, title) {
  const bar = el("span", { class: "meter", title: title || `similarity ${decimal(value)}` }, el("i"));
  bar.firstChild.style.width = `${Math.round(100 * value)}%`;
  bar.dataset.level = value >= 0.999 ? "same" : value >= 0.7 ? "near" : value >= 0.35 ? "far" : "off";
  return bar;
}

/** A button that copies a text. Where the clipboard is closed to pages, the text is selected instead. */
function copyButton(text, label) {
  const button = el("button", { type: "button", class: "quiet", title: text }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      const shown = el("code", { class: "copied" }, text);
      button.replaceWith(shown);
      getSelection().selectAllChildren(shown);
      return;
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}
