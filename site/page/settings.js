// The settings of `model.generate` as controls: defaults, ranges and presets come from helpers, through the builder.

import house from "house";

import { choose, number, say, whole } from "./words.js";

/**
 * @typedef {object} Settings  names and rules of helpers.settings.SamplingSettings
 * @property {number} min_length  in tokens, the prompt included
 * @property {number} max_length  in tokens, the prompt included
 * @property {boolean} do_sample  false: always the most probable token
 * @property {number} top_k  0 is off
 * @property {number} top_p  greater than 0, at most 1; 1 is off
 * @property {number} temperature
 * @property {number} repetition_penalty  1 is off
 * @property {number} num_return_sequences
 * @property {number} seed
 */

/** @typedef {{ low: number, high: number, integer: boolean, scale: number[] }} Range */
/** @typedef {"top_k" | "top_p" | "temperature" | "repetition_penalty" | "min_length" | "max_length" | "num_return_sequences" | "seed"} NumberName */

/** Where the page starts: the article's settings, and the seed of the lessons. @type {Readonly<Settings>} */
export const DEFAULTS = Object.freeze({ ...house.settings.defaults, seed: 15 });

/** The settings that have a number, in the order in which the page shows them. @type {NumberName[]} */
export const NUMBERS = [
  "top_k",
  "top_p",
  "temperature",
  "repetition_penalty",
  "min_length",
  "max_length",
  "num_return_sequences",
  "seed",
];

/** What each number box takes, and the steps that its slider stands on: the bundled model's. @type {Record<NumberName, Range>} */
export const RANGES = house.settings.ranges;

/**
 * The ranges for another model.
 *
 * @param {{ vocab: number, positions: number }} info
 * @returns {Record<NumberName, Range>}
 */
export function rangesFor({ vocab, positions }) {
  const upTo = (/** @type {number} */ low, /** @type {number} */ high) => Array.from({ length: high - low + 1 }, (_, i) => low + i);
  return {
    ...RANGES,
    top_k: { ...RANGES.top_k, high: vocab, scale: [...RANGES.top_k.scale.filter((k) => k < vocab && k < RANGES.top_k.high), ...largerSteps(vocab)] },
    min_length: { ...RANGES.min_length, high: positions, scale: upTo(0, positions) },
    max_length: { ...RANGES.max_length, high: positions, scale: upTo(1, positions) },
  };
}

// Beyond the bundled model's vocabulary top_k goes on in steps of its own size.
/** @param {number} vocab */
function largerSteps(vocab) {
  const steps = [];
  for (let k = RANGES.top_k.high; k < vocab; k += RANGES.top_k.high / 4) steps.push(k);
  return [...steps, vocab];
}

/** Settings with a name, and in one line what they show. */
export const presets = () =>
  house.presets.map((/** @type {any} */ preset) => ({
    name: choose(preset.name),
    why: choose(preset.why),
    /** @type {Settings} */
    settings: preset.settings,
  }));

/**
 * The index of the step nearest to a value; the lower one where two are as near.
 *
 * @param {number[]} scale
 * @param {number} value
 */
export function nearest(scale, value) {
  let best = 0;
  for (let i = 1; i < scale.length; i++) {
    if (Math.abs(scale[i] - value) < Math.abs(scale[best] - value)) best = i;
  }
  return best;
}

/**
 * The number that somebody wrote into a box, or into a link; null where the setting cannot be that.
 *
 * @param {NumberName} name
 * @param {string} written
 * @param {Record<NumberName, Range>} [ranges]
 */
export const readNumber = (name, written, ranges = RANGES) => numberIn(ranges[name], written);

/**
 * The number that somebody wrote, or null where it is none of this range.
 *
 * @param {{ low: number, high: number, integer: boolean }} range
 * @param {string} written
 */
export function numberIn({ low, high, integer }, written) {
  // Full-width digits are what a Japanese keyboard gives.
  const text = written.normalize("NFKC").trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return null;
  const value = Number(text);
  return value >= low && value <= high && (!integer || Number.isInteger(value)) ? value : null;
}

/**
 * Why something that was written cannot be a setting's number, in a sentence.
 *
 * @param {NumberName} name
 * @param {string} written
 * @param {Record<NumberName, Range>} [ranges]
 */
export function whyNot(name, written, ranges = RANGES) {
  const { low, high, integer } = ranges[name];
  const value = written.trim() ? written.trim().slice(0, 40) : say("no_number");
  return say(integer ? "not_an_integer" : "not_a_number", { field: name, value, low, high });
}

/**
 * What the engine refuses, in a sentence.
 *
 * @param {any} error  a SettingsError of the engine
 */
export function sentenceOf(error) {
  const { code, values = {}, field } = error;
  switch (code) {
    case "class_key":
    case "class_busy":
    case "class_gone":
    case "class_other":
    case "class_limit":
      return say(code, values);
    case "damaged":
      return say("engine_failed", { why: values.reason ?? values.file });
    case "empty":
      return say("prompt_empty");
    case "surrogate":
      return say("prompt_surrogate", values);
    case "prompt_too_long": {
      const over = values.tokens - values.positions + 1;
      return say("prompt_too_long", { tokens: whole(values.tokens), limit: values.positions, over: whole(over) });
    }
    case "no_room":
      return say("no_room", { tokens: values.tokens, limit: values.max_length, least: values.tokens + 1 });
    case "min_above_max":
      return say("lengths_contradict", { low: values.min_length, high: values.max_length });
    case "max_above_positions":
      return say("not_an_integer", { field, value: values.max_length, low: 1, high: values.positions });
    case "range":
      return say(values.integer ? "not_an_integer" : "not_a_number", { field, ...values });
    default:
      return say("engine_failed", { why: error instanceof Error ? error.message : String(error) });
  }
}

/**
 * The settings as Python writes them: `["top_k", "500"], ["do_sample", "True"]`.
 *
 * @param {Partial<Settings>} settings
 * @returns {[string, string][]}
 */
export function asPython(settings) {
  return Object.entries(settings).map(([name, value]) => {
    if (typeof value === "boolean") return [name, value ? "True" : "False"];
    const isFloat = name in RANGES && !RANGES[/** @type {NumberName} */ (name)].integer;
    return [name, isFloat && Number.isInteger(value) ? value.toFixed(1) : String(value)];
  });
}

/**
 * The settings in one line, for a reader.
 *
 * @param {Partial<Settings>} settings
 */
export function inOneLine(settings) {
  return asPython(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}

/**
 * A setting's value as the slider tells it.
 *
 * @param {number} value
 */
export function shown(value) {
  return Number.isInteger(value) ? String(value) : number(value);
}
