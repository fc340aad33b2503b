// To hand on: a text with its settings, the state as a link and a QR code, the run as Python.

import house from "house";
import { renderSVG } from "uqr";

import { byId, fill, h } from "./dom.js";
import { LONGEST_LINK, toFragment } from "./link.js";
import { covered, coveredTokens } from "./mask.js";
import { asPython, inOneLine } from "./settings.js";
import { getLanguage, say, whole } from "./words.js";

/** Beyond this the squares are too small for a phone's camera at a projector's distance. */
const LONGEST_QR = 1000;

/**
 * Copy, and say so. Where the browser has no clipboard for us (plain HTTP), the old way; where that fails, a box to copy from.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {string} text
 */
export async function copyText(lab, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!copyBySelection(text)) {
      lab.tell("notice", { sentence: say("copy_by_hand"), text });
      return;
    }
  }
  lab.tell("notice", { sentence: say("copied") });
}

/** @param {string} text */
function copyBySelection(text) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const box = h("textarea", { class: "offscreen", readonly: true, "aria-hidden": "true" });
  box.value = text;
  document.body.append(box);
  box.select();
  box.setSelectionRange(0, text.length);
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    // Some browsers throw where others answer false: either way the text is not copied.
    done = false;
  }
  box.remove();
  before?.focus();
  return done;
}

/**
 * A text with what it takes to write it again: what a pupil hands in.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {import("./lab.js").Run} run
 * @param {number} sequence
 */
export function runAsText(lab, run, sequence) {
  const { settings, sequences } = run;
  return [covered(lab, sequences[sequence].text), "", ...describeRun(lab, run, sequence), inOneLine(settings)].join("\n");
}

/**
 * Where a text comes from, in lines.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {import("./lab.js").Run} run
 * @param {number} sequence
 */
export function describeRun(lab, run, sequence) {
  const { draft, promptIds, sequences } = run;
  const lines = [`prompt: ${covered(lab, draft.prompt)}`];
  const chosen = coveredTokens(lab, sequences[sequence].tokenIds).slice(promptIds.length - draft.chosen.length, promptIds.length);
  if (chosen.length) lines.push(`${say("chosen_title")}: ${chosen.join(" ")}`);
  lines.push(`${say("title")} · ${lab.model.info.name} · ${sequence + 1} / ${sequences.length}`);
  return lines;
}

/**
 * The call of `load_model`. The key of a class's server is handed on by the teacher only.
 *
 * @param {import("./lab.js").Lab} lab
 */
function loading({ model: { info } }) {
  return info.kind === "server" ? `load_model("${info.name}", engine="server", url="${location.origin}")` : `load_model("${info.name}")`;
}

/**
 * The plain `model.generate(...)` call that writes the same; for a class's server, which has none, ours.
 *
 * @param {import("./lab.js").Lab} lab
 */
export function asCode(lab) {
  return lab.model.info.kind === "server" ? asOurCall(lab) : asPlainCall(lab);
}

/** @param {import("./lab.js").Lab} lab */
function asOurCall(lab) {
  return [
    "from helpers.models import load_model",
    "from helpers.sampling import SamplingSettings, generate",
    "",
    `lm = ${loading(lab)}`,
    "settings = SamplingSettings(",
    ...asPython(lab.settings).map(([name, value]) => `    ${name}=${value},`),
    ")",
    `for sequence in generate(lm, ${python(lab, lab.chosen.length ? lab.model.decode(lab.ids()) : lab.prompt)}, settings).sequences:`,
    "    print(sequence.text)",
    "",
  ].join("\n");
}

/** @param {import("./lab.js").Lab} lab */
function asPlainCall(lab) {
  const { settings, chosen, prompt } = lab;
  const { info } = lab.model;
  const input = chosen.length
    ? `torch.tensor([[${lab.ids().join(", ")}]])`
    : `lm.tokenizer.encode(\n    ${python(lab, prompt)},\n    add_special_tokens=False,\n    return_tensors="pt",\n)`;
  /** @type {any} */
  const used = { ...settings };
  delete used.seed;
  // transformers warns about settings that greedy search does not use.
  if (!settings.do_sample) for (const name of ["top_k", "top_p", "temperature", "num_return_sequences"]) delete used[name];
  const values = [...asPython(used), ["pad_token_id", info.pad], ["eos_token_id", info.eos]];
  return [
    "import torch",
    "",
    "from helpers.models import load_model",
    "",
    `lm = ${loading(lab)}`,
    `input_ids = ${input}`,
    `torch.manual_seed(${settings.seed})`,
    "output = lm.model.generate(",
    "    input_ids,",
    "    attention_mask=torch.ones_like(input_ids),",
    ...values.map(([name, value]) => `    ${name}=${value},`),
    ")",
    "for text in lm.tokenizer.batch_decode(output, skip_special_tokens=True):",
    "    print(text)",
    "",
  ].join("\n");
}

/**
 * A cell that opens the notebook's lab with the same prompt and settings.
 *
 * @param {import("./lab.js").Lab} lab
 */
export function asCell(lab) {
  const prompt = lab.chosen.length ? lab.model.decode(lab.ids()) : lab.prompt;
  return [
    "from helpers.lab import SamplingLab",
    "from helpers.models import load_model",
    "from helpers.sampling import SamplingSettings",
    "",
    "settings = SamplingSettings(",
    ...asPython(lab.settings).map(([name, value]) => `    ${name}=${value},`),
    ")",
    `SamplingLab(${loading(lab)}, prompt=${python(lab, prompt)}, settings=settings)`,
    "",
  ].join("\n");
}

/**
 * A string in Python: as JSON writes it, covered words as escapes, which run just the same.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {string} text
 */
const python = (lab, text) => covered(lab, JSON.stringify(text), (word) => word.replace(/./g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`));

/**
 * The state of the page as the fragment of its address.
 *
 * @param {import("./lab.js").Lab} lab
 */
export function fragmentOf({ prompt, chosen, settings, masking, key, teacher }) {
  return toFragment({ prompt, chosen, settings, masking, vertical: byId("vertical").checked, language: getLanguage(), key, teacher });
}

/**
 * The address of this page with its state, and why it is none, if it is none.
 *
 * @param {import("./lab.js").Lab} lab
 */
export function linkOf(lab) {
  const link = location.href.replace(/#.*$/s, "") + fragmentOf(lab);
  const tooLong = link.length > LONGEST_LINK;
  return { link, why: tooLong ? say("share_too_long", { length: whole(link.length), limit: whole(LONGEST_LINK) }) : "" };
}

/** @param {import("./lab.js").Lab} lab */
export function startShare(lab) {
  const pane = byId("share-pane");
  const box = byId("share");

  function draw() {
    // Emptied while it is closed: opened again, it must not show the link of an earlier state, not even for a moment.
    if (!pane.open || !lab.model) return fill(box);
    const { link, why } = linkOf(lab);
    const notebook = `https://colab.research.google.com/github/${house.repository.replace("https://github.com/", "")}/blob/${house.branch}/notebooks/start/${getLanguage() === "en" ? "en/" : ""}00_lab.ipynb`;
    /** @type {[string, string][]} */
    let codes = [];
    try {
      codes = [
        ["share_cell", asCell(lab)],
        ["share_code", asCode(lab)],
      ];
    } catch {
      // The prompt is not a valid text yet: the picture of the next token says why.
    }
    fill(
      box,
      h("h3", {}, say("share_link")),
      ...(why ? [h("p", { class: "problem" }, `⚠ ${why}`)] : [copyBox(say("share_link"), link, 2), qr(link)]),
      h("p", { class: "note" }, say("share_link_note")),
      location.protocol === "file:" ? h("p", { class: "note" }, say("share_file_note")) : null,
      ...codes.flatMap(([key, code]) => [h("h3", {}, say(key)), copyBox(say(key), code, Math.min(code.split("\n").length, 14)), key === "share_cell" ? h("p", { class: "note" }, ...around(say("share_cell_note"), h("a", { href: notebook, rel: "noreferrer" }, "00_lab"))) : null]),
    );
  }

  /**
   * @param {string} name
   * @param {string} text
   * @param {number} rows
   */
  function copyBox(name, text, rows) {
    const area = h("textarea", { readonly: true, rows, "aria-label": name, spellcheck: "false", class: "code" });
    area.value = text;
    return h("div", { class: "copy-box" }, area, h("button", { type: "button", "aria-label": say("share_copy", { what: name }), onclick: () => copyText(lab, text) }, say("copy")));
  }

  pane.addEventListener("toggle", draw);
  lab.on("draft settings mask words model vertical", draw);
}

/** @param {string} link */
function qr(link) {
  const length = new TextEncoder().encode(link).length;
  if (length > LONGEST_QR) return h("p", { class: "note" }, say("qr_too_long", { length: whole(length), limit: whole(LONGEST_QR) }));
  const picture = h("img", { class: "qr", alt: say("qr_name") });
  picture.src = `data:image/svg+xml,${encodeURIComponent(renderSVG(link, { border: 4, ecc: "L" }))}`;
  return picture;
}

/**
 * A sentence with an element in the place of `{link}`.
 *
 * @param {string} sentence
 * @param {Node} element
 */
function around(sentence, element) {
  const [before, after] = sentence.split("{link}");
  return [before, element, after];
}
