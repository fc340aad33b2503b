/**
 * The model behind messages. It runs in a worker, so that the page answers while it writes; where there is no worker,
 * behind a channel of the page itself.
 *
 * A message in is `{ call, op, ... }`; out come `{ call, steps }` while a text is written, and at last `{ call, result }` or
 * `{ call, error }`. `call` is a number of the caller's; `{ call, op: "stop" }` ends the writing of that call.
 *
 * @typedef {import("./gpt2.js").Model} Model
 * @typedef {import("./gpt2.js").Watch} Watch
 */
import { buildModel, floatsOf, newCache, read } from "./gpt2.js";
import { plainMaths, wasmMaths } from "./math.js";
import { readTensors } from "./safetensors.js";
import { generate } from "./sampling.js";

/**
 * The model of a file of weights, in WebAssembly where it can be.
 * @param {ArrayBuffer} weights @param {any} config @param {BufferSource} [wasm] @returns {Promise<Model>}
 */
export async function openWeights(weights, config, wasm) {
  const tensors = readTensors(weights);
  let maths = plainMaths();
  if (wasm && typeof WebAssembly === "object") {
    try {
      maths = await wasmMaths(wasm, floatsOf(config));
    } catch {
      // A browser without SIMD, a page that forbids WebAssembly, no memory for it: JavaScript gives the same numbers, and
      // `maths.kind` tells which of the two it is.
    }
  }
  return buildModel(tensors, config, maths);
}

/**
 * The scores after a text. What is known of the text before is used again, as far as both begin alike.
 * @param {Model} model
 */
export function scorer(model) {
  const cache = newCache(model, model.config.n_positions);
  /** @type {number[]} */
  let known = [];
  return (/** @type {number[]} */ ids) => {
    let same = 0;
    while (same < ids.length - 1 && same < known.length && ids[same] === known[same]) same++;
    cache.length = same;
    known = ids.slice();
    return read(model, cache, ids.slice(same));
  };
}

/**
 * Everything on the way of a text through the model, for a picture.
 * @param {Model} model @param {number[]} ids
 */
export function trace(model, ids) {
  const { n_layer: layers, n_head: heads, n_embd: width, n_positions } = model.config, tokens = ids.length;
  const arrays = (/** @type {number} */ length) => Array.from({ length: layers }, () => new Float32Array(length));
  const embeddings = new Float32Array(tokens * width), states = arrays(tokens * width), attention = arrays(heads * tokens * tokens);
  const logits = read(model, newCache(model, n_positions), ids, (from) => ({
    embedding: (row, vector) => embeddings.set(vector, (from + row) * width),
    state: (layer, row, vector) => states[layer].set(vector, (from + row) * width),
    attention: (layer, row, head, weights) => attention[layer].set(weights, (head * tokens + from + row) * tokens),
  }));
  return { tokens, layers, heads, width, embeddings, states, attention, logits };
}

/** Lets waiting messages in: a page's own channel comes round after them. @returns {Promise<void>} */
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/**
 * Answers the messages of a port.
 * @param {{ onmessage: ((message: any) => void) | null, postMessage: (message: any) => void }} port a worker's own
 *   scope, or one end of a channel
 */
export function serve(port) {
  /** @type {Model | undefined} */
  let model;
  /** @type {ReturnType<typeof scorer>} */
  let score;
  const stopped = new Set();

  /** @param {any} message */
  async function answer(message) {
    if (message.op === "open") {
      model = await openWeights(message.weights, message.config, message.wasm);
      score = scorer(model);
      return { kind: model.maths.kind };
    }
    if (!model) throw new RangeError("the model is not open");
    if (message.op === "logits") return score(message.ids);
    if (message.op === "trace") return trace(model, message.ids);
    if (message.op !== "generate") throw new RangeError(`unknown message: ${message.op}`);
    for (const steps of generate(model, message.ids, message.settings, message.special)) {
      port.postMessage({ call: message.call, steps });
      await turn();
      if (stopped.delete(message.call)) return "user";
    }
    return "done";
  }

  port.onmessage = async ({ data: message }) => {
    if (message.op === "stop") {
      stopped.add(message.call);
      return;
    }
    try {
      port.postMessage({ call: message.call, result: await answer(message) });
    } catch (error) {
      // The page shows it, and the next message is answered all the same.
      port.postMessage({ call: message.call, error: error instanceof Error ? error.message : String(error) });
    } finally {
      stopped.delete(message.call);
    }
  };
}
