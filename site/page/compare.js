// Two settings with the same text and the same seed, side by side.

import { beforeNextFrame, byId, fill, h } from "./dom.js";
import { legend } from "./look.js";
import { coveredPieces } from "./mask.js";
import { inOneLine, presets, sentenceOf } from "./settings.js";
import { markedText } from "./texts.js";
import { say } from "./words.js";

/** @param {import("./lab.js").Lab} lab */
export function startCompare(lab) {
  const box = byId("compare");
  const [article, , cautious] = presets();
  /** @type {Record<string, import("./settings.js").Settings>} */
  const chosen = { A: article.settings, B: cautious.settings };
  /** @type {AbortController | null} */
  let writing = null;
  const result = h("div", { class: "cards" });
  const verdict = h("p", { role: "status" });
  /** @type {ReturnType<typeof markedText>[]} */
  let texts = [];
  /** What is to be said of the two texts. */
  let tell = () => {};

  // Both write one text with the seed of the controls.
  const settingsOf = (/** @type {string} */ name) => ({ ...chosen[name], num_return_sequences: 1, seed: lab.settings.seed });

  function draw() {
    const rows = Object.keys(chosen).map((name) => {
      const { num_return_sequences: _, seed: __, ...differing } = settingsOf(name);
      return h(
        "p",
        {},
        h("b", {}, name),
        " ",
        h("code", {}, inOneLine(differing)),
        " ",
        h("button", { type: "button", class: "small", onclick: () => take(name) }, say("compare_take", { name })),
      );
    });
    fill(
      box,
      h("p", { class: "note" }, say("compare_note")),
      ...rows,
      h("div", { class: "row" }, h("button", { type: "button", onclick: run }, say("compare_run")), h("button", { type: "button", onclick: () => writing?.abort() }, say("stop"))),
      verdict,
      result,
    );
  }

  /** @param {string} name */
  function take(name) {
    chosen[name] = { ...lab.settings };
    draw();
    /** @type {HTMLElement[]} */ ([...box.querySelectorAll("p > button")])[name === "A" ? 0 : 1].focus();
  }

  async function run() {
    if (!lab.model) return;
    writing?.abort();
    const mine = new AbortController();
    writing = mine;
    const names = Object.keys(chosen);
    const obstacle = names.map((name) => lab.obstacle(settingsOf(name))).find(Boolean);
    if (obstacle) {
      verdict.textContent = `⚠ ${obstacle}`;
      return;
    }
    verdict.textContent = "";
    tell = () => {};
    const ids = lab.ids();
    texts = names.map((name) => markedText(lab, `${name}`, null));
    fill(
      result,
      ...names.map((name, i) => h("article", { class: "card", "aria-label": name }, h("div", { class: "card-head" }, h("b", {}, name)), texts[i].box)),
      legend(),
    );
    try {
      const generations = await Promise.all(
        names.map((name, i) => {
          /** @type {any} */
          const growing = { tokenIds: [...ids], steps: [] };
          const growSoon = beforeNextFrame(() => texts[i].grow(growing, ids.length));
          const onToken = (/** @type {any} */ { tokenId, raw, final }) => {
            growing.tokenIds.push(tokenId);
            growing.steps.push({ tokenId, raw, final });
            growSoon();
          };
          return lab.model.generate(ids, settingsOf(name), { onToken, signal: mine.signal });
        }),
      );
      if (writing !== mine) return;
      const [a, b] = generations.map(({ sequences }) => sequences[0]);
      for (const [i, { sequences }] of generations.entries()) texts[i].grow(sequences[0], ids.length);
      const place = firstDifference(a.tokenIds, b.tokenIds);
      if (place === null) {
        verdict.textContent = say("compare_same");
        return;
      }
      for (const text of texts) text.mark(place - ids.length);
      const pieces = [a, b].map(({ tokenIds }) => tokenIds.map((/** @type {number} */ id) => lab.model.piece(id)));
      tell = () => {
        const [inA, inB] = pieces.map((all) => coveredPieces(lab, all)[place] ?? say("compare_end"));
        verdict.textContent = say("compare_difference", { place: place - ids.length + 1, a: inA, b: inB });
      };
      tell();
    } catch (error) {
      if (writing === mine) verdict.textContent = `⚠ ${sentenceOf(error)}`;
    }
  }

  lab.on("words", draw);
  lab.on("mask", () => {
    for (const text of texts) text.cover();
    tell();
  });
  draw();
}

/**
 * The first place at which two lists differ; null if they are equal.
 *
 * @param {number[]} a
 * @param {number[]} b
 */
function firstDifference(a, b) {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? null : shorter;
}
