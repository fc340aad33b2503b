// The texts as they are written, side by side: each new token marked by the probability that the model gave it.

import { beforeNextFrame, byId, fill, h } from "./dom.js";
import { legend, markStyle, pieceText, surprise } from "./look.js";
import { covered, listedWords } from "./mask.js";
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
  const prompt = h("b", { class: "start" });
  let start = "";
  const box = h("div", { class: "text", role: "group", "aria-label": label, lang: "ja" }, prompt);
  /** @type {HTMLElement[]} */
  const tokens = [];
  /** @type {Set<string>} the covered words that were tapped to see, by where they stand */
  const uncovered = new Set();

  /**
   * Take up a sequence as far as it has grown.
   *
   * @param {Pick<Sequence, "tokenIds" | "steps">} sequence
   * @param {number} before  number of tokens before the new ones
   */
  function grow(sequence, before) {
    const { model } = lab;
    if (!start) {
      start = model.decode(sequence.tokenIds.slice(0, before));
      cover();
    }
    if (tokens.length === sequence.steps.length) return;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    for (let i = tokens.length; i < sequence.steps.length; i++) {
      const { tokenId, raw } = sequence.steps[i];
      const token = h(
        "span",
        {
          class: "token",
          "data-step": i,
          style: markStyle(surprise(raw)),
          title: numbersOf(model, sequence.steps[i]),
          ...(pick ? { role: "button", tabindex: tokens.length ? -1 : 0 } : {}),
        },
        pieceText(model, tokenId),
      );
      tokens.push(token);
      box.append(token);
    }
    if (lab.masking) cover();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  function cover() {
    prompt.textContent = uncovered.has("start") ? start : covered(lab, start);
    const text = tokens.map((token) => token.textContent).join("");
    const words = lab.masking ? listedWords(text) : [];
    let at = 0;
    for (const token of tokens) {
      const end = at + (token.textContent ?? "").length;
      const word = words.find(([from, to]) => from < end && to > at && !uncovered.has(`${from}-${to}`));
      token.classList.toggle("masked", Boolean(word));
      if (word) {
        token.dataset.word = word.join("-");
        token.setAttribute("aria-label", say("masked"));
        token.title = say("masked");
      } else if (token.dataset.word) {
        delete token.dataset.word;
        token.removeAttribute("aria-label");
        token.title = "";
      }
      at = end;
    }
  }

  const press = (/** @type {HTMLElement | null} */ token) => {
    if (!token) return;
    if (token.dataset.word) {
      uncovered.add(token.dataset.word);
      cover();
    } else pick?.(Number(token.dataset.step));
  };
  const tokenOf = (/** @type {any} */ event) => /** @type {HTMLElement | null} */ (event.target.closest?.(".token") ?? null);
  box.addEventListener("click", (/** @type {any} */ event) => press(tokenOf(event)));
  prompt.addEventListener("click", () => {
    uncovered.add("start");
    cover();
  });
  // One stop for Tab, the arrows from there: a hundred stops would be a trap.
  box.addEventListener("keydown", (/** @type {any} */ event) => {
    const token = tokenOf(event);
    if (!token) return;
    const at = tokens.indexOf(token);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[/** @type {string} */ (event.key)];
    const to = event.key === "Home" ? 0 : event.key === "End" ? tokens.length - 1 : step ? at + step : -1;
    if (tokens[to]) {
      event.preventDefault();
      token.tabIndex = -1;
      tokens[to].tabIndex = 0;
      tokens[to].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      press(token);
    }
  });

  /** Probabilities that came later than their tokens. @param {Pick<Sequence, "steps">} sequence */
  function restyle({ steps }) {
    for (const [i, token] of tokens.entries()) {
      for (const [name, value] of Object.entries(markStyle(surprise(steps[i].raw)))) token.style.setProperty(name, value);
      token.title = numbersOf(lab.model, steps[i]);
    }
    cover();
  }

  return {
    box,
    grow,
    cover,
    restyle,
    /** @param {number | null} step  the new token to put in a frame */
    mark(step) {
      for (const token of tokens) token.classList.toggle("picked", Number(token.dataset.step) === step);
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
