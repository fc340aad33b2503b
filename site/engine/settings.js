/**
 * The settings and their rules: those of helpers.settings.SamplingSettings.
 *
 * @typedef {object} Settings
 * @property {number} min_length the end token is refused while the text is shorter; counts the prompt, as max_length does
 * @property {number} max_length
 * @property {boolean} do_sample false: always the most probable token
 * @property {number} top_k 0 is off
 * @property {number} top_p 1 is off
 * @property {number} temperature 1 is off
 * @property {number} repetition_penalty 1 is off
 * @property {number} num_return_sequences
 * @property {number | null} seed
 */

/** The article's. @type {Settings} */
export const DEFAULTS = {
  min_length: 50,
  max_length: 100,
  do_sample: true,
  top_k: 500,
  top_p: 0.95,
  temperature: 1,
  repetition_penalty: 1,
  num_return_sequences: 3,
  seed: null,
};

const LARGEST = Number.MAX_SAFE_INTEGER;
/** @type {Record<string, { low: number, high: number, integer: boolean }>} */
const RANGES = {
  min_length: { low: 0, high: LARGEST, integer: true },
  max_length: { low: 1, high: LARGEST, integer: true },
  top_k: { low: 0, high: LARGEST, integer: true },
  num_return_sequences: { low: 1, high: 1000, integer: true },
  seed: { low: 0, high: LARGEST, integer: true },
  temperature: { low: 0.001, high: 1000, integer: false },
  repetition_penalty: { low: 0.01, high: 100, integer: false },
  top_p: { low: 0, high: 1, integer: false },
};

/** A setting or a prompt that cannot be used. The page finds the sentence for its `code`: see README.md. */
export class SettingsError extends Error {
  /** @param {string} field @param {string} code @param {Record<string, unknown>} [values] */
  constructor(field, code, values = {}) {
    super(`${field}: ${code} ${JSON.stringify(values)}`);
    this.name = "SettingsError";
    this.field = field;
    this.code = code;
    this.values = values;
  }
}

/**
 * The settings with what was left out, checked.
 * @param {Partial<Settings>} given @returns {Settings} @throws {SettingsError}
 */
export function checkSettings(given) {
  /** @type {Settings} */
  const settings = { ...DEFAULTS };
  for (const name of /** @type {(keyof Settings)[]} */ (Object.keys(DEFAULTS)))
    if (given[name] !== undefined) Object.assign(settings, { [name]: given[name] });
  if (typeof settings.do_sample !== "boolean") throw new SettingsError("do_sample", "boolean", { value: settings.do_sample });
  for (const [name, range] of Object.entries(RANGES)) {
    const value = settings[/** @type {keyof Settings} */ (name)];
    if (name === "seed" && value === null) continue;
    const fits =
      typeof value === "number" && value >= range.low && value <= range.high && (!range.integer || Number.isInteger(value));
    if (!fits || (name === "top_p" && value === 0)) throw new SettingsError(name, "range", { value, ...range });
  }
  const { min_length, max_length } = settings;
  if (min_length > max_length) throw new SettingsError("min_length", "min_above_max", { min_length, max_length });
  return settings;
}

/**
 * What a prompt leaves room for. With settings the lengths are checked too, as for a whole text.
 * @param {number[]} ids @param {number} positions @param {Settings} [settings] @throws {SettingsError}
 */
export function checkPrompt(ids, positions, settings) {
  const tokens = ids.length;
  if (!tokens) throw new SettingsError("prompt", "empty");
  if (tokens >= positions) throw new SettingsError("prompt", "prompt_too_long", { tokens, positions });
  if (!settings) return;
  const { max_length } = settings;
  if (max_length > positions) throw new SettingsError("max_length", "max_above_positions", { max_length, positions });
  if (max_length <= tokens) throw new SettingsError("max_length", "no_room", { tokens, max_length });
}
