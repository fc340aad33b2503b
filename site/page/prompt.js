// The prompt as the model reads it: tokens as chips, the form after NFKC, characters that are unknown to it.

import house from "house";

import { afterPause, byId, fill, h } from "./dom.js";
import { covered, coveredPieces } from "./mask.js";
import { say, whole } from "./words.js";

const CHIPS_SHOWN = 200;
const TYPING_PAUSE = 150;

/** @param {import("./lab.js").Lab} lab */
export function startPrompt(lab) {
  const box = byId("prompt");
  box.value = lab.prompt;
  box.addEventListener(
    "input",
    afterPause(TYPING_PAUSE, () => {
      if (box.value !== lab.prompt) lab.type(box.value);
    }),
  );
  // A button pressed while the pause still runs is about what is in the box.
  const catchUp = () => {
    if (box.value !== lab.prompt) lab.type(box.value);
  };
  box.addEventListener("change", catchUp);

  const draw = () => {
    // A word in half-width letters is the same word to the model, and to a reader.
    const readings = [lab.prompt, lab.prompt.normalize("NFKC")];
    box.classList.toggle("veiled", readings.some((text) => covered(lab, text) !== text));
    if (!lab.model) return;
    /** @type {any} */
    let tokens;
    try {
      tokens = lab.tokens();
    } catch {
      // Half of a character pair: the picture of the next token says so.
      fill(byId("chips"));
      fill(byId("chosen"));
      return;
    }
    const { pieces, normalized, unknown } = tokens;
    const shown = coveredPieces(lab, [...pieces.map((/** @type {any} */ { surface }) => surface), ...lab.chosen.map((id) => lab.model.piece(id))]);
    fill(
      byId("chosen"),
      lab.chosen.length ? h("small", {}, `${say("chosen_title")}: `) : null,
      ...lab.chosen.map((id, i) => chip(shown[pieces.length + i], id, id === lab.model.info.unknown, i)),
    );
    let count = say("tokens_count", { n: whole(pieces.length) });
    if (pieces.length > CHIPS_SHOWN) count += say("tokens_shown", { n: CHIPS_SHOWN });
    if (unknown) count += say("tokens_unknown", { n: whole(unknown) });
    fill(
      byId("chips"),
      h(
        "div",
        { class: "chips" },
        ...pieces.slice(0, CHIPS_SHOWN).map((/** @type {any} */ piece, /** @type {number} */ i) => chip(shown[i], piece.id, piece.unknown, i)),
      ),
      h("small", { class: "note" }, count),
      normalized === lab.prompt ? null : h("p", { class: "note" }, `${say("normalized")}: `, h("b", {}, covered(lab, shortened(lab.prompt, normalized)))),
    );
  };
  lab.on("draft", () => {
    if (box.value !== lab.prompt) box.value = lab.prompt;
  });
  lab.on("draft model words mask", draw);
  return { catchUp };
}

/**
 * A token as a chip with its id; an unknown one has a dashed border and says so.
 *
 * @param {string} surface
 * @param {number} id
 * @param {boolean} unknown
 * @param {number} place
 */
export function chip(surface, id, unknown, place) {
  const { chips, text } = house.look;
  return h(
    "span",
    { class: unknown ? "chip unknown" : "chip", style: { color: text, ...(unknown ? {} : { background: chips[place % chips.length] }) } },
    h("span", { lang: "ja" }, surface),
    h("sub", {}, unknown ? `${say("unknown")} ${id}` : id),
  );
}

/**
 * A long text from a little before the first character that normalisation changed.
 *
 * @param {string} text
 * @param {string} normalized
 */
function shortened(text, normalized) {
  if (normalized.length <= CHIPS_SHOWN) return normalized;
  let change = 0;
  while (change < normalized.length && text[change] === normalized[change]) change++;
  const start = Math.max(0, Math.min(change - CHIPS_SHOWN / 4, normalized.length - CHIPS_SHOWN));
  const end = start + CHIPS_SHOWN;
  return (start ? "…" : "") + normalized.slice(start, end) + (end < normalized.length ? "…" : "");
}
