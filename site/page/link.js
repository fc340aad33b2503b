// The state of the page as the fragment of its address, and back. A fragment is never sent to a server.

import house from "house";

import { DEFAULTS, NUMBERS, RANGES, readNumber } from "./settings.js";

/** Browsers take longer addresses; mail, chat and copying by hand do not. */
export const LONGEST_LINK = 4000;

/**
 * @typedef {object} State
 * @property {string} prompt
 * @property {number[]} chosen
 * @property {import("./settings.js").Settings} settings
 * @property {boolean} masking
 * @property {boolean} vertical
 * @property {"ja" | "en" | null} language
 * @property {string} key  of the class's server; "" without one
 * @property {boolean} teacher  whether the teacher's model writes
 *
 * @typedef {[word: string, values: Record<string, any>]} Broken  what `say` takes: the link itself may choose the language
 */

/**
 * The fragment, `#` included.
 *
 * @param {State} state
 */
export function toFragment({ prompt, chosen, settings, masking, vertical, language, key, teacher }) {
  const fields = new URLSearchParams();
  fields.set("prompt", prompt);
  if (chosen.length) fields.set("chosen", chosen.join("."));
  for (const [name, value] of Object.entries(settings)) fields.set(name, String(value));
  if (masking) fields.set("mask", "1");
  if (vertical) fields.set("vertical", "1");
  if (language) fields.set("lang", language);
  if (key) fields.set("key", key);
  if (teacher) fields.set("model", "teacher");
  return `#${fields}`;
}

/**
 * The state that a fragment holds. What cannot be read has its default, and `broken` names the sentences that say so.
 *
 * @param {string} fragment
 * @returns {State & { broken: Broken[] }}
 */
export function fromFragment(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  /** @type {Broken[]} */
  const broken = [];
  /** @type {any} */
  const settings = { ...DEFAULTS };

  for (const name of NUMBERS) {
    const written = fields.get(name);
    if (written === null) continue;
    const value = readNumber(name, written);
    if (value === null) broken.push(["broken_link", { field: name, used: settings[name] }]);
    else settings[name] = value;
  }
  const doSample = fields.get("do_sample");
  if (doSample === "true" || doSample === "false") settings.do_sample = doSample === "true";
  else if (doSample !== null) broken.push(["broken_link", { field: "do_sample", used: DEFAULTS.do_sample }]);
  if (settings.min_length > settings.max_length) {
    settings.min_length = DEFAULTS.min_length;
    settings.max_length = DEFAULTS.max_length;
    broken.push(["broken_link_lengths", { low: settings.min_length, high: settings.max_length }]);
  }

  let prompt = fields.get("prompt") ?? house.opening;
  // A percent sign that was cut off, or half of a character pair.
  if (prompt.includes("\ufffd") || prompt.trim() === "") {
    prompt = house.opening;
    broken.push(["broken_link_prompt", {}]);
  }
  /** @type {number[]} */
  let chosen = [];
  const written = fields.get("chosen");
  if (written) {
    chosen = written.split(".").map((id) => (/^\d{1,6}$/.test(id) ? Number(id) : -1));
    if (chosen.some((id) => id < 0 || id >= RANGES.top_k.high)) {
      chosen = [];
      broken.push(["broken_link_chosen", {}]);
    }
  }
  /** A field that is a word of a few, null without one. @type {(name: string, words: RegExp) => string | null} */
  const oneOf = (name, words) => {
    const word = fields.get(name);
    if (word === null || words.test(word)) return word;
    broken.push(["broken_link_ignored", { field: name }]);
    return null;
  };
  return {
    prompt,
    chosen,
    settings,
    masking: oneOf("mask", /^[01]$/) === "1",
    vertical: oneOf("vertical", /^[01]$/) === "1",
    language: /** @type {State["language"]} */ (oneOf("lang", /^(ja|en)$/)),
    key: oneOf("key", /^[\w.~-]{1,200}$/) ?? "",
    teacher: oneOf("model", /^teacher$/) === "teacher",
    broken,
  };
}
