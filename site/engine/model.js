/**
 * What a page calls: the model as one object. Text and settings are worked on here, the model runs in its worker.
 *
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {import("./spm.js").Tokenizer} Tokenizer
 * @typedef {import("./sampling.js").Step} Step
 * @typedef {Step & { text: string }} Event `text` is what became whole with this token
 * @typedef {{ text: string, tokenIds: number[], stopped: "eos" | "max_length" | "user",
 *   steps: { tokenId: number, raw: number, final: number }[] }} Sequence `text` and `tokenIds` include the prompt
 * @typedef {{ promptIds: number[], settings: Settings, sequences: Sequence[] }} Generation
 * @typedef {{ tokenId: number, piece: string, raw: number, final: number, cutBy: import("./sampling.js").Cut | null }} Candidate
 * @typedef {ReturnType<typeof import("./sampling.js").distribution> & { head: (n: number) => Candidate[] }} Distribution
 * @typedef {ReturnType<typeof import("./worker.js").trace>} Trace
 */
import house from "house";
import wasm from "linear-wasm";
import workerCode from "worker-code";
import { LoadError, loadFile } from "./data.js";
import { drawMany, Twister } from "./random.js";
import { distribution } from "./sampling.js";
import { checkPrompt, checkSettings, SettingsError } from "./settings.js";
import { LoneSurrogate, readTokenizer } from "./spm.js";
import { serve } from "./worker.js";

export { checkPrompt, checkSettings, LoadError, SettingsError };

/** A worker from text: a page opened from file:// may load no script into one. Without workers, a channel of the page. */
async function startWorker() {
  try {
    const address = URL.createObjectURL(new Blob([workerCode], { type: "text/javascript" }));
    const worker = new Worker(address);
    // Its first message says that it runs. A browser that refuses it may say so only by an event.
    await new Promise((resolve, reject) => { worker.onmessage = resolve; worker.onerror = reject; });
    return { port: worker, close: () => { worker.terminate(); URL.revokeObjectURL(address); } };
  } catch {
    const { port1, port2 } = new MessageChannel();
    serve(port2);
    return { port: port1, close: () => port1.close() };
  }
}

/**
 * Calls of the worker as promises.
 * @param {Awaited<ReturnType<typeof startWorker>>} worker
 */
function caller({ port }) {
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void, onSteps?: (steps: Step[]) => void }>} */
  const calls = new Map();
  let last = 0;
  /** @param {(call: { reject: (error: Error) => void }) => void} end */
  const endAll = (end) => {
    for (const call of calls.values()) end(call);
    calls.clear();
  };
  port.onmessage = ({ data: { call, steps, result, error } }) => {
    const waiting = calls.get(call);
    if (!waiting) return;
    if (steps) return waiting.onSteps?.(steps);
    calls.delete(call);
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(new LoadError("damaged", { reason: error }));
  };
  if ("onerror" in port)
    port.onerror = ({ message }) => endAll((call) => call.reject(new LoadError("damaged", { reason: message })));
  return {
    /**
     * @param {Record<string, any>} message
     * @param {{ onSteps?: (steps: Step[]) => void, signal?: AbortSignal, transfer?: Transferable[] }} [how]
     */
    ask(message, { onSteps, signal, transfer = [] } = {}) {
      const call = ++last;
      const answer = new Promise((resolve, reject) => calls.set(call, { resolve, reject, onSteps }));
      const stop = () => port.postMessage({ call, op: "stop" });
      port.postMessage({ ...message, call }, transfer);
      signal?.addEventListener("abort", stop);
      return answer.finally(() => signal?.removeEventListener("abort", stop));
    },
    endAll,
  };
}

/** Text as tokens, with the page's kind of error. @param {Tokenizer} tokenizer */
function tokenizing(tokenizer) {
  return (/** @type {string} */ text) => {
    try {
      return tokenizer.tokenize(text);
    } catch (error) {
      if (error instanceof LoneSurrogate) throw new SettingsError("prompt", "surrogate", { position: error.position });
      throw error;
    }
  };
}

/** @param {ArrayBuffer} file @param {any} config */
function tokenizerOf(file, config) {
  try {
    return readTokenizer(file, config);
  } catch (error) {
    if (error instanceof RangeError) throw new LoadError("damaged", { file: "spiece.model", reason: error.message });
    throw error;
  }
}

/**
 * Another model's tokenizer, a class server's for example.
 * @param {string} address of its `spiece.model` @param {Record<string, any>} [config] its tokenizer_config.json
 */
export async function openTokenizer(address, config = {}) {
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) throw new LoadError("network", { file: address });
  const tokenizer = tokenizerOf(await response.arrayBuffer(), config);
  return { ...tokenizer, tokenize: tokenizing(tokenizer) };
}

/**
 * What a page may ask at once, wherever the model computes: text and ids, the settings on scores that are at hand.
 * @param {Tokenizer} tokenizer @param {number} positions how many tokens the model takes
 */
export function withoutModel(tokenizer, positions) {
  /** @param {Float32Array} logits @param {number[]} ids @param {Partial<Settings>} settings @returns {Distribution} */
  function applySettings(logits, ids, settings) {
    const found = distribution(logits, ids, checkSettings(settings), tokenizer.special.eos);
    const head = (/** @type {number} */ n) =>
      Array.from(found.tokenIds.subarray(0, n), (tokenId, i) => ({
        tokenId, piece: tokenizer.piece(tokenId), raw: found.raw[i], final: found.final[i], cutBy: found.cutBy[i],
      }));
    return { ...found, head };
  }
  return {
    tokenize: tokenizing(tokenizer),
    decode: tokenizer.decode,
    piece: tokenizer.piece,
    applySettings,
    /** @param {Partial<Settings>} settings @param {number[]} [ids] */
    check(settings, ids) {
      const checked = checkSettings(settings);
      if (ids) checkPrompt(ids, positions, checked);
      return checked;
    },
    /** @param {Distribution} distribution @param {number} times @param {number} seed */
    draw({ tokenIds, final }, times, seed) {
      const inOrderOfIds = new Float32Array(final.length);
      tokenIds.forEach((id, i) => { inOrderOfIds[id] = final[i]; });
      return drawMany(inOrderOfIds, times, new Twister(seed));
    },
  };
}

/**
 * Loads the model. See README.md for what it can be asked.
 * @param {{ base?: string, onProgress?: (progress: { loaded: number, total: number }) => void }} [how]
 * @throws {LoadError}
 */
export async function openModel({ base = house.data.folder, onProgress = () => {} } = {}) {
  const { bytes } = house.data, total = bytes["model.safetensors"], config = house.model.config;
  const [weights, pieces] = await Promise.all([
    loadFile(base, "model.safetensors", total, (loaded) => onProgress({ loaded, total })),
    loadFile(base, "spiece.model", bytes["spiece.model"]),
  ]);
  const tokenizer = tokenizerOf(pieces, house.model.tokenizer), { special } = tokenizer;
  const here = withoutModel(tokenizer, config.n_positions);
  const worker = await startWorker(), { ask, endAll } = caller(worker);
  const { kind } = await ask({ op: "open", weights, config, wasm }, { transfer: [weights] });
  onProgress({ loaded: total, total });

  /** @param {number[]} ids @returns {Promise<Float32Array>} */
  async function logits(ids) {
    checkPrompt(ids, config.n_positions);
    const found = await ask({ op: "logits", ids });
    if (Number.isNaN(found[0])) throw new LoadError("damaged", { file: "model.safetensors" });
    return found;
  }

  /**
   * @param {number[]} ids @param {Partial<Settings>} given
   * @param {{ onToken?: (event: Event) => void, signal?: AbortSignal }} [how] @returns {Promise<Generation>}
   */
  async function generate(ids, given, { onToken, signal } = {}) {
    const settings = checkSettings(given);
    checkPrompt(ids, config.n_positions, settings);
    settings.seed ??= crypto.getRandomValues(new Uint32Array(1))[0];
    const rows = Array.from({ length: settings.do_sample ? settings.num_return_sequences : 1 }, () => {
      const decoder = tokenizer.decoder();
      let text = "";
      for (const id of ids) text += decoder.push(id);
      return { text, decoder, tokenIds: [...ids], steps: /** @type {Sequence["steps"]} */ ([]) };
    });
    const onSteps = (/** @type {Step[]} */ steps) => {
      for (const { sequence, tokenId, raw, final } of steps) {
        const row = rows[sequence], text = row.decoder.push(tokenId);
        row.text += text;
        row.tokenIds.push(tokenId);
        row.steps.push({ tokenId, raw, final });
        onToken?.({ sequence, tokenId, text, raw, final });
      }
    };
    const { eos, pad } = special;
    if (!signal?.aborted) await ask({ op: "generate", ids, settings, special: { eos, pad } }, { onSteps, signal });
    const sequences = rows.map(({ text, decoder, tokenIds, steps }) => {
      const full = tokenIds.length >= settings.max_length ? "max_length" : "user";
      const stopped = /** @type {Sequence["stopped"]} */ (steps.at(-1)?.tokenId === special.eos ? "eos" : full);
      return { text: text + decoder.end(), tokenIds, stopped, steps };
    });
    return { promptIds: [...ids], settings, sequences };
  }

  return {
    info: {
      name: house.model.name, kind: /** @type {"wasm" | "javascript"} */ (kind), vocab: config.vocab_size, positions: config.n_positions,
      layers: config.n_layer, heads: config.n_head, width: config.n_embd, eos: special.eos, pad: special.pad, unknown: special.unknown,
    },
    ...here,
    logits,
    /** @param {number[]} ids @param {Partial<Settings>} settings */
    distribution: async (ids, settings) => here.applySettings(await logits(ids), ids, settings),
    generate,
    /** @param {number[]} ids @returns {Promise<Trace>} */
    async trace(ids) {
      checkPrompt(ids, config.n_positions);
      return ask({ op: "trace", ids });
    },
    close() {
      worker.close();
      endAll((call) => call.reject(new DOMException("the model was closed", "AbortError")));
    },
  };
}
/** @typedef {Awaited<ReturnType<typeof openModel>>} Model */
