"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const PAUSE = 700, POLL = 3000, SIDES = ["left", "right"];
  const pair = document.querySelector(".pair"), buttons = [...document.querySelectorAll("button[data-answer]")];
  const clips = new Map();  // per question, a promise of its clips
  let state = null, current = null, broken = null, busy = true, timer = null;
  let paused = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let time = 0, before = null;  // milliseconds of the clip that have been played, at speed 1

  const name = (key) => `${key.term}/${key.id}`;
  const plural = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

  function say(text, wrong = false) {
    find("message").textContent = text;
    find("message").classList.toggle("wrong", wrong);
  }

  async function ask(path, body) {
    const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    let answer;
    try {
      answer = await fetch(path, body ? post : {});
    } catch {
      throw new Error("The server does not answer. Is `rewardspec label` still running?");
    }
    const data = await answer.json();
    if (!answer.ok) throw new Error(data.error);
    return data;
  }

  async function fetchClips(key) {
    const shown = await ask(`clips/${encodeURIComponent(key.term)}/${key.id}`);
    const pictures = (urls) => Promise.all(urls.map(async (url) => {
      const image = new Image();
      image.src = url;
      await image.decode();
      return image;
    }));
    return { ...key, pace: shown.pace, left: await pictures(shown.left), right: await pictures(shown.right) };
  }

  function clipsOf(key) {
    if (!clips.has(name(key))) {
      const promise = fetchClips(key);
      promise.catch(() => clips.delete(name(key)));  // the next time it is asked for anew
      clips.set(name(key), promise);
    }
    return clips.get(name(key));
  }

  function draw() {
    const frames = current.left.length, at = Math.min(frames - 1, Math.floor(time / 1000 * current.pace));
    for (const side of SIDES) {
      const canvas = find(side), image = current[side][Math.min(at, current[side].length - 1)];
      if (canvas.width !== image.naturalWidth || canvas.height !== image.naturalHeight) {
        canvas.width = image.naturalWidth;
        canvas.height = image.naturalHeight;
      }
      canvas.getContext("2d").drawImage(image, 0, 0);
      canvas.dataset.frame = at;
      find(`played-${side}`).style.transform = `scaleX(${frames > 1 ? at / (frames - 1) : 1})`;
    }
  }

  function tick(now) {
    if (current && before !== null && !paused) {
      time += Math.min(100, now - before) * Number(find("speed").value);
      if (time > current.left.length / current.pace * 1000 + PAUSE) time = 0;
      draw();
    }
    before = now;
    requestAnimationFrame(tick);
  }

  function pause(wanted) {
    paused = wanted;
    find("pause-word").textContent = paused ? "Play" : "Pause";
  }

  function setBusy(wanted) {
    busy = wanted;
    for (const button of buttons) button.disabled = busy || !(current || (broken && button.dataset.answer === "skip"));
    find("undo").disabled = busy || !state || !state.can_undo;
  }

  function tell() {
    const { asked, answered, counts, steps, of, finished } = state;
    find("share").style.transform = `scaleX(${asked ? answered / asked : 0})`;
    const kinds = ["left", "right", "equal", "skip"].filter((kind) => counts[kind]);
    const parts = kinds.length ? ` (${kinds.map((kind) => `${kind} ${counts[kind]}`).join(", ")})` : "";
    const training = finished ? "Training has ended." : steps ? `Training is at step ${steps.toLocaleString("en")} of ${of.toLocaleString("en")}.` : "";
    find("counts").textContent = `${answered} of ${plural(asked, "question")} answered${parts}. ${training}`;
  }

  async function showNext() {
    clearTimeout(timer);
    tell();
    const [next, ...later] = state.next;
    broken = null;
    if (!next) {
      current = null;
      pair.classList.add("waiting");
      say(state.finished ? "That was the last question: thank you. You can close this page."
        : "All questions are answered: thank you. New ones appear here when training asks them.");
      setBusy(false);
      timer = setTimeout(poll, POLL);
      return;
    }
    pair.classList.add("waiting");
    setBusy(true);
    const waiting = "Playing the episodes again ...", slow = setTimeout(() => say(waiting), 300);
    try {
      current = await clipsOf(next);
    } catch (error) {
      broken = next;  // it can still be skipped
      current = null;
      say(error.message, true);
      setBusy(false);
      return;
    } finally {
      clearTimeout(slow);
      if (find("message").textContent === waiting) say("");
    }
    const wanted = new Set(state.next.map(name));
    for (const key of clips.keys()) if (!wanted.has(key)) clips.delete(key);
    time = 0;
    draw();
    pair.classList.remove("waiting");
    pair.dataset.question = name(next);
    if (Number(pair.dataset.terms) > 1) find("question").textContent = `Which clip is better in ${next.term}?`;
    setBusy(false);
    for (const key of later) clipsOf(key).catch(() => {});
  }

  async function poll() {
    try {
      state = await ask("state");
      await showNext();
    } catch (error) {
      say(error.message, true);
      timer = setTimeout(poll, POLL);
    }
  }

  async function answer(word) {
    const asked = current || (word === "skip" ? broken : null);
    if (busy || !asked) return;
    setBusy(true);
    const sides = word === "equal" ? SIDES : [word];
    for (const side of sides) find(`side-${side}`)?.classList.add("chosen");
    setTimeout(() => document.querySelectorAll(".chosen").forEach((side) => side.classList.remove("chosen")), 300);
    try {
      state = await ask("answer", { term: asked.term, id: asked.id, answer: word });
      say(word === "skip" ? "Skipped." : `Recorded: ${word}.`);
      await showNext();
    } catch (error) {
      say(`Not recorded: ${error.message}`, true);
      setBusy(false);
    }
  }

  async function undo() {
    if (busy || !state || !state.can_undo) return;
    setBusy(true);
    try {
      state = await ask("undo", {});
      if (state.undone) state.next = [state.undone, ...state.next.filter((key) => name(key) !== name(state.undone))];
      say("Taken back.");
      await showNext();
    } catch (error) {
      say(`Not taken back: ${error.message}`, true);
      setBusy(false);
    }
  }

  for (const button of buttons) button.onclick = () => { button.blur(); answer(button.dataset.answer); };
  find("undo").onclick = () => { find("undo").blur(); undo(); };
  find("pause").onclick = () => { find("pause").blur(); pause(!paused); };
  find("speed").onchange = () => find("speed").blur();

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target instanceof HTMLSelectElement) return;
    const keys = {
      ArrowLeft: () => answer("left"), ArrowRight: () => answer("right"), ArrowDown: () => answer("equal"),
      s: () => answer("skip"), S: () => answer("skip"), Backspace: undo,
      " ": event.target instanceof HTMLButtonElement ? null : () => pause(!paused),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    if (!event.repeat) act();  // a key that is held down answers once
  });

  pause(paused);
  requestAnimationFrame(tick);
  poll();
})();
