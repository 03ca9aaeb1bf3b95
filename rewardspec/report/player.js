"use strict";
(() => {
  const { pictures, terms, machines, steps, left, width } = EPISODE;
  const last = steps.length - 1;
  const find = (id) => document.getElementById(id);
  const [frame, slider, play, cursor, now, timeline] =
    ["frame", "slider", "play", "cursor", "now", "timeline"].map(find);
  const chips = [...document.querySelectorAll("#chips .chip")];
  let at = 0, timer = null, lit = [];

  const images = pictures.map((url) => { const image = new Image(); image.src = url; return image; });
  if (images.length) { frame.hidden = false; find("no-frame").hidden = true; }

  // Sums up to and including each step.
  let own = 0, total = 0;
  const sums = terms.map(() => 0);
  const upTo = steps.map((step) => {
    own += step.own;
    step.paid.forEach((paid, k) => { sums[k] += paid; total += paid; });
    return { own, total, terms: [...sums] };
  });

  const number = (value) => String(Number(value.toFixed(4)));
  const signed = (value) => (value > 0 ? "+" : "") + number(value);

  function line(name, parts) {
    const head = document.createElement("dt"), body = document.createElement("dd");
    head.textContent = name;
    body.append(...parts);
    now.append(head, body);
  }

  function paid(value) {
    const span = document.createElement("span");
    span.textContent = signed(value);
    span.className = value > 0 ? "paid" : value < 0 ? "taken" : "";
    return span;
  }

  function describe(step) {
    now.replaceChildren();
    line("step", [at === 0 ? `0 of ${last}: the start` : `${at} of ${last}: ${step.action}`]);
    machines.forEach((machine, i) => {
      const before = at ? steps[at - 1].states[i] : step.states[i], state = step.states[i];
      const moved = before !== state ? `${machine.states[before]} → ` : "";
      line(machine.name, [moved + machine.states[state]]);
    });
    for (const [term, verdict] of Object.entries(step.verdicts)) line(`verdict of ${term}`, [verdict]);
    terms.forEach((term, k) => {
      line(terms.length > 1 ? `paid by ${term}` : "paid", [paid(step.paid[k]), `, ${number(upTo[at].terms[k])} so far`]);
    });
    if (terms.length > 1) line("the spec's return", [number(upTo[at].total)]);
    line("environment's own", [paid(step.own), `, ${number(upTo[at].own)} so far`]);
  }

  function light(step) {
    lit.forEach((element) => element.classList.remove("lit"));
    const ids = [];
    machines.forEach((_, i) => {
      const before = at ? steps[at - 1].states[i] : null, state = step.states[i];
      ids.push(`played-m${i}-u${state}`);
      if (before !== null && before !== state) ids.push(`played-m${i}-u${before}-u${state}`);
    });
    lit = ids.map(find).filter(Boolean);
    lit.forEach((element) => element.classList.add("lit"));
    const held = new Set(step.true);
    chips.forEach((chip) => chip.classList.toggle("lit", held.has(chip.dataset.name)));
  }

  function show(step) {
    at = Math.max(0, Math.min(last, step));
    const current = steps[at];
    if (current.picture >= 0) frame.src = pictures[current.picture];
    slider.value = at;
    slider.setAttribute("aria-valuetext", `step ${at} of ${last}`);
    const x = left + width * at / Math.max(1, last);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    describe(current);
    light(current);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function start() {
    if (at === last) show(0);
    play.textContent = "Pause";
    timer = setInterval(() => { if (at === last) stop(); else show(at + 1); }, last > 150 ? 80 : 220);
  }

  function go(step) { stop(); show(step); }

  find("back").onclick = () => go(at - 1);
  find("on").onclick = () => go(at + 1);
  play.onclick = () => (timer ? stop() : start());
  slider.oninput = () => go(Number(slider.value));

  const seek = (event) => {
    const box = timeline.getBoundingClientRect(), units = timeline.viewBox.baseVal.width;
    go(Math.round(((event.clientX - box.left) * units / box.width - left) / width * last));
  };
  timeline.addEventListener("pointerdown", (event) => { timeline.setPointerCapture(event.pointerId); seek(event); });
  timeline.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const onButton = event.target instanceof HTMLButtonElement;
    const keys = {
      ArrowLeft: () => go(at - 1), ArrowRight: () => go(at + 1), Home: () => go(0), End: () => go(last),
      " ": onButton ? null : () => play.onclick(),
    };
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  const asked = /^#step=(\d+)$/.exec(location.hash);
  show(asked ? Number(asked[1]) : 0);
})();
