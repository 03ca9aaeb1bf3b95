"use strict";
// Charts of the page: lines with bands from the JSON that each .plot holds; zoom by dragging, methods by buttons.
const SVG = "http://www.w3.org/2000/svg";
const SIZE = { left: 46, right: 24, top: 24, bottom: 38, height: 240 };

function element(name, attributes, parent, words) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (words !== undefined) made.textContent = words;
  if (parent) parent.append(made);
  return made;
}

function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * unit).find((n) => n >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}

function brief(number) {
  const size = Math.abs(number);
  const told = (value) => String(Number(value.toPrecision(3)));
  if (size >= 1e6) return told(number / 1e6) + " M";
  return size >= 1e4 ? told(number / 1e3) + " k" : told(number);
}

class Plot {
  constructor(place) {
    this.place = place;
    this.chart = JSON.parse(place.querySelector("script").textContent);
    this.hidden = new Set();
    this.clock = this.ends = false;
    this.view = null;
    this.tip = document.createElement("div");
    this.tip.className = "tip off";
    this.draw();
    place.addEventListener("pointermove", (event) => this.move(event));
    place.addEventListener("pointerleave", () => this.leave());
    place.addEventListener("pointerdown", (event) => { this.from = this.at(event); });
    place.addEventListener("pointerup", (event) => this.zoom(this.at(event)));
    place.addEventListener("dblclick", () => { this.view = null; this.draw(); });
  }

  scale(series) { return this.clock && series.seconds ? series.seconds : 1; }

  shown() { return this.chart.series.filter((series) => !this.hidden.has(series.tone)); }

  range() {
    const ends = this.shown().map((series) => this.scale(series) * series.points[series.points.length - 1][0]);
    return this.view || [0, Math.max(...ends, 1e-9)];
  }

  draw() {
    const wide = this.place.classList.contains("wide");
    this.width = Math.max(300, this.place.clientWidth || (wide ? 900 : 420));
    const [low, high] = this.range();
    const all = this.shown().flatMap((series) => series.points
      .filter(([x]) => x * this.scale(series) >= low && x * this.scale(series) <= high)
      .flatMap((point) => [point[2], point[3]])
      .concat(this.ends && series.ends ? series.ends.flat().map((point) => point[1]) : []));
    let bottom = Math.min(0, ...all), top = Math.max(...all, bottom + 1e-6);
    if (bottom >= 0 && top > 0.55 && top <= 1.02) top = 1;
    const svg = element("svg", { class: "chart", viewBox: `0 0 ${this.width} ${SIZE.height}`, role: "img",
      "aria-label": `${this.chart.y} against ${this.chart.x}` });
    this.x = (value) => SIZE.left + (this.width - SIZE.left - SIZE.right) * (value - low) / (high - low);
    this.back = (pixel) => low + (high - low) * (pixel - SIZE.left) / (this.width - SIZE.left - SIZE.right);
    this.y = (value) => SIZE.top + (SIZE.height - SIZE.top - SIZE.bottom) * (1 - (value - bottom) / (top - bottom));
    for (const tick of ticks(bottom, top, 4)) {
      element("line", { class: "grid", x1: SIZE.left, x2: this.width - SIZE.right, y1: this.y(tick), y2: this.y(tick) }, svg);
      element("text", { x: SIZE.left - 6, y: this.y(tick) + 4, "text-anchor": "end" }, svg, brief(tick));
    }
    for (const tick of ticks(low, high, this.width > 600 ? 9 : 5))
      element("text", { x: this.x(tick), y: SIZE.height - SIZE.bottom + 16, "text-anchor": "middle" }, svg, brief(tick));
    const name = this.clock ? "CPU seconds of a run" : this.chart.x;
    element("text", { x: (SIZE.left + this.width - SIZE.right) / 2, y: SIZE.height - 5, "text-anchor": "middle" }, svg, name);
    element("text", { x: 4, y: 12 }, svg, this.chart.y);
    const clip = `clip${Plot.count = (Plot.count || 0) + 1}`;
    element("rect", { x: SIZE.left, y: 0, width: this.width - SIZE.left - SIZE.right, height: SIZE.height - SIZE.bottom + 2 },
      element("clipPath", { id: clip }, svg));
    const inner = element("g", { "clip-path": `url(#${clip})` }, svg);
    for (const series of this.shown()) {
      const by = this.scale(series), dot = ([x, y]) => `${this.x(x * by).toFixed(1)},${this.y(y).toFixed(1)}`;
      const group = element("g", { class: `tone${series.tone}` }, inner);
      const edge = series.points.map(([x, , below]) => dot([x, below]))
        .concat(series.points.map(([x, , , above]) => dot([x, above])).reverse());
      element("polygon", { class: "band", points: edge.join(" ") }, group);
      if (this.ends) for (const end of series.ends || [])
        element("polyline", { class: "end", points: end.map(dot).join(" ") }, group);
      element("polyline", { class: "line", points: series.points.map(dot).join(" ") }, group);
    }
    this.cursor = element("line", { class: "cursor off", y1: SIZE.top, y2: SIZE.height - SIZE.bottom }, svg);
    this.frame = element("rect", { class: "frame off", y: SIZE.top, height: SIZE.height - SIZE.top - SIZE.bottom }, svg);
    this.place.replaceChildren(svg, this.tip);
  }

  at(event) {
    const box = this.place.getBoundingClientRect();
    return (event.clientX - box.left) * this.width / box.width;
  }

  move(event) {
    const pixel = this.at(event), value = this.back(pixel);
    if (pixel < SIZE.left || pixel > this.width - SIZE.right) return this.leave();
    this.cursor.setAttribute("x1", pixel);
    this.cursor.setAttribute("x2", pixel);
    this.cursor.classList.remove("off");
    if (this.from !== undefined) {
      this.frame.setAttribute("x", Math.min(this.from, pixel));
      this.frame.setAttribute("width", Math.abs(this.from - pixel));
      this.frame.classList.remove("off");
    }
    this.tip.replaceChildren(`${this.clock ? "CPU seconds" : this.chart.x}: ${brief(value)}`);
    for (const series of this.shown()) {
      const by = this.scale(series), points = series.points;
      if (value > points[points.length - 1][0] * by * 1.001) continue;
      const near = points.reduce((a, b) => Math.abs(b[0] * by - value) < Math.abs(a[0] * by - value) ? b : a);
      const line = document.createElement("div"), swatch = document.createElement("i");
      swatch.className = `tone${series.tone}`;
      line.append(swatch, `${series.name}: ${brief(near[1])} [${brief(near[2])}, ${brief(near[3])}]`);
      this.tip.append(line);
    }
    this.tip.classList.remove("off");
    const box = this.place.getBoundingClientRect(), left = event.clientX - box.left;
    const room = left + 16 + this.tip.offsetWidth < box.width;
    this.tip.style.left = `${room ? left + 16 : Math.max(0, left - 16 - this.tip.offsetWidth)}px`;
    this.tip.style.top = `${SIZE.top}px`;
  }

  leave() {
    this.from = undefined;
    for (const part of [this.cursor, this.frame, this.tip]) part.classList.add("off");
  }

  zoom(to) {
    const from = this.from;
    this.leave();
    if (from === undefined || Math.abs(to - from) < 12) return;
    this.view = [this.back(Math.min(from, to)), this.back(Math.max(from, to))];
    this.draw();
  }
}

const plots = new Map();
for (const place of document.querySelectorAll(".plot")) plots.set(place, new Plot(place));

for (const section of document.querySelectorAll(".experiment")) {
  const mine = [...section.querySelectorAll(".plot")].map((place) => plots.get(place));
  for (const button of section.querySelectorAll(".toggles button"))
    button.addEventListener("click", () => {
      const show = button.getAttribute("aria-pressed") === "false", tone = Number(button.dataset.method);
      button.setAttribute("aria-pressed", String(show));
      for (const bar of section.querySelectorAll(`.bars g[data-method="${tone}"]`)) bar.classList.toggle("off", !show);
      for (const plot of mine) { plot.hidden[show ? "delete" : "add"](tone); plot.draw(); }
    });
  for (const [kind, field] of [["clock", "clock"], ["ends", "ends"]])
    section.querySelector(`input.${kind}`)?.addEventListener("change", (event) => {
      for (const plot of mine) if (plot.chart.series.some((series) => series.seconds !== undefined)) {
        plot[field] = event.target.checked;
        plot.view = null;
        plot.draw();
      }
    });
}

let waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { for (const plot of plots.values()) plot.draw(); }, 150);
});
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
