/**
 * What the settings do with the scores, and the loop that writes: transformers' processors in their order, in float32
 * steps, so that the same tokens are kept and drawn.
 *
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {import("./gpt2.js").Model} Model
 * @typedef {"top_k" | "top_p" | "min_length"} Cut what removed a token
 * @typedef {{ sequence: number, tokenId: number, raw: number, final: number }} Step one new token of one text: its
 *   probability as the model computed it, and the one it was drawn with
 */
import { forward, newCache, ROWS, read, scores } from "./gpt2.js";
import { drawOne, Twister } from "./random.js";

const REMOVED = Number.NEGATIVE_INFINITY;

/** Scores as probabilities, float32. @param {Float32Array} scores */
export function softmax(scores) {
  const out = new Float32Array(scores.length);
  let largest = REMOVED, sum = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i] > largest) largest = scores[i];
  for (let i = 0; i < scores.length; i++) if (scores[i] !== REMOVED) sum += out[i] = Math.exp(scores[i] - largest);
  for (let i = 0; i < scores.length; i++) out[i] /= sum;
  return out;
}

/** The ids that are not removed, the lowest score first; of equal ones the lower id. @param {Float32Array} scores */
function ascending(scores) {
  // A float32's bits, turned so that they sort as numbers do, with the id behind them: 52 bits, exact in a float64.
  // Typed arrays of numbers sort many times faster than with a function that compares.
  const bits = new Int32Array(scores.buffer, scores.byteOffset, scores.length);
  const keys = new Float64Array(scores.length);
  let count = 0;
  for (let id = 0; id < scores.length; id++) {
    if (scores[id] === REMOVED) continue;
    const value = scores[id] === 0 ? 0 : bits[id];
    keys[count++] = (value < 0 ? -(value & 0x7fffffff) : value) * 1048576 + id;
  }
  return Array.from(keys.subarray(0, count).sort(), (key) => key - Math.floor(key / 1048576) * 1048576);
}

/**
 * The scores after each setting.
 * @param {Float32Array} logits float32, one for each token of the vocabulary; left as it is
 * @param {number[]} ids the text so far @param {Settings} settings @param {number} eos
 * @param {(cut: Cut, id: number) => void} [removed] told of each token that a setting removes
 * @returns {Float32Array} -Infinity for a token that cannot be drawn
 */
export function processScores(logits, ids, settings, eos, removed) {
  const out = logits.slice();
  // torch takes a number for a tensor of float32 as a float32.
  const penalty = Math.fround(settings.repetition_penalty), temperature = Math.fround(settings.temperature);
  const remove = (/** @type {Cut} */ cut, /** @type {number} */ id) => {
    if (out[id] === REMOVED) return;
    out[id] = REMOVED;
    removed?.(cut, id);
  };
  if (settings.repetition_penalty !== 1)
    for (const id of new Set(ids)) out[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
  if (ids.length < settings.min_length) remove("min_length", eos);
  if (!settings.do_sample) return out;
  if (settings.temperature !== 1) for (let id = 0; id < out.length; id++) out[id] /= temperature;
  if (settings.top_k > 0 && settings.top_k < out.length) {
    const least = out.slice().sort()[out.length - settings.top_k];
    for (let id = 0; id < out.length; id++) if (out[id] < least) remove("top_k", id);
  }
  if (settings.top_p < 1) {
    // From the lowest up, tokens go as long as they add up to no more than the rest beyond top_p. One always stays.
    const probabilities = softmax(out), rest = Math.fround(1 - settings.top_p), order = ascending(out);
    let sum = 0;
    for (const id of order.slice(0, -1)) {
      sum += probabilities[id];
      if (Math.fround(sum) > rest) break;
      remove("top_p", id);
    }
  }
  return out;
}

/** @param {Float32Array} values */
function largest(values) {
  let at = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[at]) at = i;
  return at;
}

/** Entropy in bits. @param {Float32Array} probabilities */
function entropy(probabilities) {
  let sum = 0;
  for (const p of probabilities) if (p > 0) sum -= p * Math.log2(p);
  return sum;
}

/**
 * The distribution of the next token before and after the settings, as helpers.sampling.next_token_distribution.
 * Greedy search is shown as what it is equal to, top_k = 1.
 * @param {Float32Array} logits @param {number[]} ids @param {Settings} settings @param {number} eos
 */
export function distribution(logits, ids, settings, eos) {
  const shown = settings.do_sample ? settings : { ...settings, do_sample: true, top_k: 1, top_p: 1, temperature: 1 };
  /** @type {Map<number, Cut>} */
  const cuts = new Map();
  const removed = { top_k: 0, top_p: 0, min_length: 0 };
  const processed = processScores(logits, ids, shown, eos, (cut, id) => {
    cuts.set(id, cut);
    removed[cut]++;
  });
  const raw = softmax(logits), final = softmax(processed);
  // The most probable first, of equal ones the lower id: the raw probabilities from behind.
  const tokenIds = Int32Array.from(ascending(raw.map((p) => -p)));
  return {
    tokenIds,
    raw: Float32Array.from(tokenIds, (id) => raw[id]),
    final: Float32Array.from(tokenIds, (id) => final[id]),
    cutBy: Array.from(tokenIds, (id) => cuts.get(id) ?? null),
    removed,
    kept: logits.length - cuts.size,
    entropy: entropy(final),
    rawEntropy: entropy(raw),
  };
}

/**
 * Writes on, one token a step for each text that has not ended, as `model.generate` does: yields the step's new tokens.
 * `ids` has at least one id, and `settings` a seed that is a number; both are checked before.
 * @param {Model} model @param {number[]} ids @param {Settings} settings @param {{ eos: number, pad: number }} special
 * @returns {Generator<Step[]>}
 */
export function* generate(model, ids, settings, { eos, pad }) {
  const count = settings.do_sample ? settings.num_return_sequences : 1;
  const random = new Twister(settings.seed ?? 0);
  // The prompt is read once; each text then goes on from a copy of what it left behind.
  const room = settings.max_length, prompt = newCache(model, room), after = read(model, prompt, ids);
  const texts = Array.from({ length: count }, (_, i) => ({
    ids: [...ids], ended: false, logits: after, cache: i < count - 1 ? newCache(model, room, prompt) : prompt,
  }));
  for (let length = ids.length; length < settings.max_length; length++) {
    if (length > ids.length) {
      // A text that has ended is padded as in torch, where each row draws a number to the end; its model rests.
      const going = texts.filter((text) => !text.ended);
      for (let from = 0; from < going.length; from += ROWS) {
        const part = going.slice(from, from + ROWS);
        const rows = scores(model, forward(model, part.map(({ cache, ids }) => ({ cache, id: ids[ids.length - 1] }))));
        for (const [i, text] of part.entries()) text.logits = rows[i];
      }
    }
    /** @type {Step[]} */
    const steps = [];
    for (const [sequence, text] of texts.entries()) {
      if (text.ended) {
        random.skip(settings.do_sample ? 2 * after.length : 0);
        text.ids.push(pad);
        continue;
      }
      if (Number.isNaN(text.logits[0])) throw new RangeError("the model computed NaN: its weights are damaged");
      const processed = processScores(text.logits, text.ids, settings, eos);
      const final = settings.do_sample ? softmax(processed) : null;
      const tokenId = final ? drawOne(final, random) : largest(processed);
      text.ids.push(tokenId);
      text.ended = tokenId === eos;
      steps.push({ sequence, tokenId, raw: softmax(text.logits)[tokenId], final: final ? final[tokenId] : 1 });
    }
    yield steps;
    if (texts.every((text) => text.ended)) return;
  }
}
