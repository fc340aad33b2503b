// The texts as they are written, side by side: each new token marked by the probability that the model gave it.

import { beforeNextFrame, byId, fill, h } from "./dom.js";
import { legend, markStyle, pieceText, surprise } from "./look.js";
import { listedWords, replaced } from "./mask.js";
import { savePicture } from "./picture.js";
import { copyText, runAsText } from "./share.js";
import { percent, say } from "./words.js";

/** @typedef {import("./lab.js").Run} Run */
/** @typedef {import("./lab.js").Sequence} Sequence */

/**
 * A text with its tokens marked. It can grow.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {string} label  its name for a screen reader
 * @param {((step: number) => void) | null} pick  what a press on a token does
 */
export function markedText(lab, label, pick) {
  const { model } = lab;
  const prompt = h("b", { class: "start" });
  const box = h("div", { class: "text", role: "group", "aria-label": label, lang: "ja" }, prompt);
  /** The prompt, and each new token. @type {HTMLElement[]} */
  const parts = [prompt];
  /** What is written in each of them, before it is covered. */
  const pieces = [""];
  /** @type {Sequence["steps"]} */
  let steps = [];
  /** @type {Set<string>} the covered words that were tapped to see, by where they begin */
  const uncovered = new Set();

  /**
   * Take up a sequence as far as it has grown.
   *
   * @param {Pick<Sequence, "tokenIds" | "steps">} sequence
   * @param {number} before  number of tokens before the new ones
   */
  function grow(sequence, before) {
    steps = sequence.steps;
    if (!pieces[0]) {
      pieces[0] = model.decode(sequence.tokenIds.slice(0, before));
      cover();
    }
    if (parts.length === steps.length + 1) return;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    for (let i = parts.length - 1; i < steps.length; i++) {
      const { tokenId, raw } = steps[i];
      const piece = pieceText(model, tokenId);
      const token = h(
        "span",
        {
          class: "token",
          "data-step": i,
          style: markStyle(surprise(raw)),
          title: numbersOf(model, steps[i]),
          ...(pick ? { role: "button", tabindex: i ? -1 : 0 } : {}),
        },
        piece,
      );
      parts.push(token);
      pieces.push(piece);
      box.append(token);
    }
    if (lab.masking) cover();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  function cover() {
    const text = pieces.join("");
    const words = lab.masking ? listedWords(text).filter(([from]) => !uncovered.has(String(from))) : [];
    const shown = replaced(text, words);
    let at = 0;
    for (const [i, part] of parts.entries()) {
      const end = at + pieces[i].length;
      const piece = shown.slice(at, end);
      if (part.textContent !== piece) part.textContent = piece;
      const begins = words.filter(([from, to]) => from < end && to > at).map(([from]) => from);
      name(i, begins.join(" "));
      at = end;
    }
  }

  /**
   * What a part is to those who press it or hear it: with a covered word in it, a button that shows the word.
   *
   * @param {number} i
   * @param {string} words  that are covered in it, by where they begin
   */
  function name(i, words) {
    const part = parts[i];
    if ((part.dataset.words ?? "") === words) return;
    part.dataset.words = words;
    part.classList.toggle("masked", words !== "");
    part.title = words ? say("masked") : i ? numbersOf(model, steps[i - 1]) : "";
    if (words) part.setAttribute("aria-label", i ? say("masked") : `${prompt.textContent} ${say("masked")}`);
    else part.removeAttribute("aria-label");
    if (i && pick) return;
    part.tabIndex = words ? 0 : -1;
    if (words) part.setAttribute("role", "button");
    else part.removeAttribute("role");
  }

  const press = (/** @type {HTMLElement | null} */ part) => {
    if (part?.dataset.words) {
      for (const word of part.dataset.words.split(" ")) uncovered.add(word);
      cover();
    } else if (part?.dataset.step) pick?.(Number(part.dataset.step));
  };
  const tokenOf = (/** @type {any} */ event) => /** @type {HTMLElement | null} */ (event.target.closest?.(".token, .start") ?? null);
  box.addEventListener("click", (/** @type {any} */ event) => press(tokenOf(event)));
  // One stop for Tab, the arrows from there: a hundred stops would be a trap.
  box.addEventListener("keydown", (/** @type {any} */ event) => {
    const token = tokenOf(event);
    if (!token) return;
    const at = parts.indexOf(token);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[/** @type {string} */ (event.key)];
    const to = event.key === "Home" ? 1 : event.key === "End" ? parts.length - 1 : step ? at + step : -1;
    if (parts[to]?.hasAttribute("role")) {
      event.preventDefault();
      token.tabIndex = -1;
      parts[to].tabIndex = 0;
      parts[to].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      press(token);
    }
  });

  /** Probabilities that came later than their tokens. @param {Pick<Sequence, "steps">} sequence */
  function restyle(sequence) {
    steps = sequence.steps;
    for (const [i, token] of parts.slice(1).entries()) {
      for (const [name, value] of Object.entries(markStyle(surprise(steps[i].raw)))) token.style.setProperty(name, value);
      if (!token.dataset.words) token.title = numbersOf(model, steps[i]);
    }
  }

  return {
    box,
    grow,
    cover,
    restyle,
    /** @param {number | null} step  the new token to put in a frame */
    mark(step) {
      for (const token of parts) token.classList.toggle("picked", Number(token.dataset.step) === step);
    },
  };
}

/**
 * A new token and its two probabilities, in words.
 *
 * @param {any} model
 * @param {{ tokenId: number, raw: number, final: number }} step
 */
const numbersOf = (model, { tokenId, raw, final }) =>
  say("token_numbers", { piece: model.piece(tokenId), id: tokenId, raw: percent(raw), final: percent(final) });

/** @param {import("./lab.js").Lab} lab */
export function startTexts(lab) {
  const box = byId("texts");
  /** @type {{ text: ReturnType<typeof markedText>, numbers: HTMLElement }[]} */
  let cards = [];
  let started = 0;

  function begin() {
    const run = /** @type {Run} */ (lab.run);
    started = performance.now();
    cards = run.sequences.map((_, i) => {
      const text = markedText(lab, say("card_tokens", { number: i + 1 }), (step) => lab.pick({ sequence: i, step }));
      const numbers = h("small", { class: "numbers" });
      text.grow(run.sequences[i], run.promptIds.length);
      return { text, numbers };
    });
    fill(
      box,
      ...cards.map(({ text, numbers }, i) =>
        h(
          "article",
          { class: "card", "aria-label": say("card_title", { number: i + 1 }) },
          h(
            "div",
            { class: "card-head" },
            h("b", {}, say("card_title", { number: i + 1 })),
            numbers,
            h("button", { type: "button", class: "small", onclick: () => copyText(lab, runAsText(lab, run, i)) }, say("copy")),
            h("button", { type: "button", class: "small", onclick: () => savePicture(lab, run, i) }, say("picture")),
          ),
          text.box,
        ),
      ),
    );
    fill(byId("legend"), legend());
    for (let i = 0; i < cards.length; i++) count(i);
  }

  /** @param {number} i */
  function count(i) {
    const run = /** @type {Run} */ (lab.run);
    const { stopped, tokenIds, text } = run.sequences[i];
    const numbers = say("card_numbers", { seed: run.settings.seed, characters: [...text].length, tokens: tokenIds.length });
    fill(cards[i].numbers, numbers, h("span", { class: "ended" }, ` · ${say(`ended_${stopped ?? "writing"}`)}`));
  }

  /** @param {number} i */
  function grow(i) {
    const run = /** @type {Run} */ (lab.run);
    cards[i].text.grow(run.sequences[i], run.promptIds.length);
    count(i);
  }

  lab.on("run", () => {
    byId("progress").textContent = "";
    begin();
    box.scrollTo(0, 0);
  });
  // Tokens can come faster than pictures: drawn one by one, a long text would keep a slow device from answering.
  lab.on(
    "token",
    beforeNextFrame(() => {
      for (const i of lab.run?.sequences.keys() ?? []) grow(i);
    }),
  );
  lab.on("written", () => {
    const run = /** @type {Run} */ (lab.run);
    for (let i = 0; i < cards.length; i++) {
      grow(i);
      cards[i].text.restyle(run.sequences[i]);
    }
    const tokens = run.sequences.reduce((sum, { steps }) => sum + steps.length, 0);
    const rate = Math.round((1000 * tokens) / (performance.now() - started));
    byId("progress").textContent = say("speed", { rate });
    // Written to its end, a text is read from its beginning.
    for (const { text } of cards) text.box.scrollTop = 0;
  });
  lab.on("focus draft", () => {
    for (const [i, { text }] of cards.entries()) text.mark(lab.focus?.sequence === i ? lab.focus.step : null);
  });
  lab.on("mask", () => {
    for (const { text } of cards) text.cover();
  });
  lab.on("model", () => {
    cards = [];
    fill(box);
  });
  lab.on("words", () => {
    if (!lab.run) return;
    begin();
    for (let i = 0; i < cards.length; i++) grow(i);
    byId("progress").textContent = "";
  });
}
