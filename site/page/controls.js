// A slider and a number box for each setting. Both bear the setting's own name; the box holds the value.

import { byId, fill, h } from "./dom.js";
import { NUMBERS, nearest, presets, RANGES, rangesFor, readNumber, shown, whyNot } from "./settings.js";

/** The two that are in sight from the start. */
const FIRST = ["top_k", "top_p"];

/** @param {import("./lab.js").Lab} lab */
export function startControls(lab) {
  const list = byId("sliders");
  /** @type {Map<string, string>} a sentence for each box that holds no value */
  const wrong = new Map();

  let ranges = RANGES;

  for (const name of NUMBERS) {
    const { integer } = RANGES[name];
    const slider = h("input", { type: "range", "aria-label": name, min: 0, step: 1 });
    const box = h("input", { type: "text", id: name, inputmode: integer ? "numeric" : "decimal", autocomplete: "off", role: "spinbutton", "aria-label": name, "aria-describedby": "problems" });

    const show = (/** @type {boolean} */ boxToo) => {
      const value = lab.settings[name];
      const { low, high, scale } = ranges[name];
      slider.max = scale.length - 1;
      box.setAttribute("aria-valuemin", low);
      box.setAttribute("aria-valuemax", high);
      slider.value = nearest(scale, value);
      slider.setAttribute("aria-valuetext", shown(value));
      box.setAttribute("aria-valuenow", value);
      if (!boxToo) return;
      box.value = String(value);
      settle("");
    };
    const settle = (/** @type {string} */ sentence) => {
      if (sentence) wrong.set(name, sentence);
      else wrong.delete(name);
      box.toggleAttribute("aria-invalid", Boolean(sentence));
      if (sentence) box.setAttribute("aria-invalid", "true");
      tellProblems();
    };
    const typed = () => {
      const value = readNumber(name, box.value, ranges);
      // What was typed stays, and so does the last value that could be used.
      settle(value === null ? whyNot(name, box.value, ranges) : "");
      if (value !== null && value !== lab.settings[name]) lab.set({ [name]: value });
    };
    slider.addEventListener("input", () => {
      const value = ranges[name].scale[slider.valueAsNumber];
      lab.set({ [name]: value });
      show(true);
    });
    box.addEventListener("change", typed);
    // Typing the same number once more is no change, and yet asks for that seed.
    if (name === "seed") for (const one of [slider, box]) one.addEventListener("input", () => (lab.seedByHand = true));
    box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (direction) {
        event.preventDefault();
        const step = integer ? 1 : 0.01;
        const { low, high } = ranges[name];
        const value = Math.min(high, Math.max(low, Math.round((lab.settings[name] + direction * step) / step) * step));
        lab.set({ [name]: Number(value.toFixed(6)) });
        show(true);
      } else if (event.key === "Enter") typed();
    });
    lab.on("settings", () => show(document.activeElement !== box || readNumber(name, box.value, ranges) !== lab.settings[name]));
    list.append(h("div", { class: FIRST.includes(name) ? "setting" : "setting extra", "data-setting": name }, h("label", { for: name }, name), slider, box));
    show(true);
  }

  lab.on("model", () => {
    ranges = rangesFor(lab.model.info);
    /** @type {any} */
    const inside = {};
    for (const name of NUMBERS) inside[name] = Math.min(ranges[name].high, lab.settings[name]);
    lab.set(inside);
  });

  const doSample = byId("do_sample");
  doSample.addEventListener("change", () => lab.set({ do_sample: doSample.checked }));
  const newSeed = byId("new-seed");
  newSeed.addEventListener("change", () => {
    lab.newSeed = newSeed.checked;
  });
  const follow = () => {
    doSample.checked = lab.settings.do_sample;
    newSeed.checked = lab.newSeed;
    // Greedy search draws nothing: these play no part.
    for (const name of ["top_k", "top_p", "temperature", "num_return_sequences", "seed"]) {
      list.querySelector(`[data-setting=${name}]`).classList.toggle("idle", !lab.settings.do_sample);
    }
  };
  lab.on("settings", follow);
  follow();

  const row = byId("presets");
  const why = h("p", { class: "note" });
  const drawPresets = () =>
    fill(
      row,
      ...presets().map((/** @type {any} */ preset) =>
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              lab.set({ ...preset.settings, seed: lab.settings.seed });
              why.textContent = preset.why;
            },
          },
          preset.name,
        ),
      ),
      why,
    );
  lab.on("words", () => {
    why.textContent = "";
    drawPresets();
    for (const name of wrong.keys()) byId(name).dispatchEvent(new Event("change"));
  });
  drawPresets();

  function tellProblems() {
    const sentences = new Set([...wrong.values(), lab.problem].filter(Boolean));
    fill(byId("problems"), ...[...sentences].map((sentence) => h("p", {}, `⚠ ${sentence}`)));
  }
  lab.on("problem", tellProblems);
}
