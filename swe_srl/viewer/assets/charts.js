// Line charts in SVG.
"use strict";

const CHART = { width: 360, height: 168, left: 44, right: 12, top: 10, bottom: 22 };

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, String(value));
  return append(made, children);
}

/** Round numbers that divide a range into few parts. */
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((part) => part * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}

/** Lowest and highest value with a little room, and never nothing between them. */
function span(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (high - low < 1e-12) {
    const room = Math.abs(high) * 0.1 || 1;
    return [low - room, high + room];
  }
  const room = (high - low) * 0.08;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

/** A moving average over a tenth of the points. */
function smooth(points) {
  const reach = Math.max(1, Math.round(points.length / 20));
  return points.map(([at], place) => {
    const near = points.slice(Math.max(0, place - reach), place + reach + 1);
    return [at, near.reduce((sum, point) => sum + point[1], 0) / near.length];
  });
}

/** One figure over the updates: its points, where stages begin, and the updates whose model was kept. */
function chart(title, points, last, stages = [], chosen = []) {
  const { width, height, left, right, top, bottom } = CHART;
  const [low, high] = span(points.map((point) => point[1]));
  const x = (at) => left + ((width - left - right) * at) / Math.max(1, last);
  const y = (value) => height - bottom - ((height - top - bottom) * (value - low)) / (high - low);
  const path = (list) => list.map(([at, value], place) => `${place ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img",
    "aria-label": `${title}: ${decimal(points[0][1])} at first, ${decimal(points.at(-1)[1])} at last` });
  const marks = ticks(low, high, 4);
  const digits = Math.min(6, Math.max(4, Math.ceil(-Math.log10(marks[1] - marks[0])) || 0));
  for (const value of marks) {
    append(drawn, [svg("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick", x: left - 6, y: y(value) + 3.5, "text-anchor": "end" }, decimal(value, digits))]);
  }
  for (const at of ticks(0, Math.max(1, last), 5).filter(Number.isInteger)) {
    drawn.append(svg("text", { class: "tick", x: x(at), y: height - 7, "text-anchor": "middle" }, whole(at)));
  }
  for (const stage of stages.slice(1)) {
    drawn.append(svg("line", { class: "stage", x1: x(stage.begin), x2: x(stage.begin), y1: top, y2: height - bottom }));
  }
  for (const at of chosen) {
    const mark = svg("line", { class: "chosen", x1: x(at), x2: x(at), y1: top, y2: height - bottom });
    drawn.append(append(mark, [svg("title", {}, `the model of update ${at} was kept`)]));
  }
  const rough = points.length > 24;
  drawn.append(svg("path", { class: rough ? "curve rough" : "curve", d: path(points) }));
  if (rough) drawn.append(svg("path", { class: "curve", d: path(smooth(points)) }));
  if (points.length <= 40) for (const [at, value] of points) drawn.append(svg("circle", { class: "dot", cx: x(at), cy: y(value), r: 1.9 }));
  const value = el("span", { class: "value" });
  const rest = () => { value.textContent = decimal(points.at(-1)[1]); };
  rest();
  follow(drawn, points, x, y, value, rest);
  return el("figure", { class: "plot" }, el("figcaption", {}, el("span", { class: "name" }, title), value), drawn);
}

/** The point under the pointer is marked, and its value told. */
function follow(drawn, points, x, y, value, rest) {
  const cursor = svg("circle", { class: "cursor", r: 3.6, cx: -9, cy: -9 });
  drawn.append(cursor);
  drawn.addEventListener("pointermove", (event) => {
    const box = drawn.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * CHART.width;
    const near = points.reduce((best, point) => (Math.abs(x(point[0]) - at) < Math.abs(x(best[0]) - at) ? point : best));
    cursor.setAttribute("cx", x(near[0]));
    cursor.setAttribute("cy", y(near[1]));
    value.textContent = `${decimal(near[1], 4)} at update ${near[0]}`;
  });
  drawn.addEventListener("pointerleave", () => {
    cursor.setAttribute("cx", -9);
    cursor.setAttribute("cy", -9);
    rest();
  });
}

/** A curve without axes, for cards. */
function sparkline(points, last) {
  const [low, high] = span(points.map((point) => point[1]));
  const place = ([at, value]) => `${(2 + (116 * at) / Math.max(1, last)).toFixed(1)} ${(32 - (28 * (value - low)) / (high - low)).toFixed(1)}`;
  return svg("svg", { viewBox: "0 0 120 36", class: "spark", "aria-hidden": "true" },
    svg("path", { class: "curve", d: points.map((point, index) => `${index ? "L" : "M"}${place(point)}`).join("") }));
}
