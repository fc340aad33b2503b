// The teacher's model, where this page came from the class's server (`make class`): text and ids are made here, the
// scores and the dice are the server's. docs/class-server.md says what it is asked and how it answers.

import { checkPrompt, checkSettings, openTokenizer, SettingsError, withoutModel } from "../engine/model.js";

/** What vLLM takes; below the lower one it would compute with that one and tell nobody. */
const TEMPERATURES = { low: 0.01, high: 2 };

/** The server cannot be used; `code` names the page's sentence. What was written is kept. */
export class ClassroomError extends Error {
  /**
   * @param {"class_key" | "class_busy" | "class_gone" | "class_other" | "class_limit"} code
   * @param {Record<string, any>} [values]
   */
  constructor(code, values = {}) {
    super(code);
    this.code = code;
    this.values = values;
  }
}

/**
 * The model of the class's server: the engine's calls, but for `trace`.
 *
 * @param {string} key
 */
export async function openClassroom(key) {
  const offer = await (await asked("class.json")).json();
  const { model: name, vocab_size: vocab, n_positions: positions, eos_token_id: eos } = offer;
  const files = offer.files.replace(/^\//, "");
  const config = await (await asked(`${files}tokenizer_config.json`)).json();
  const tokenizer = await openTokenizer(`${files}spiece.model`, config);
  const here = withoutModel(tokenizer, positions);

  /**
   * @param {number[]} prompt
   * @param {Record<string, any>} fields
   * @param {AbortSignal} [signal]
   */
  function complete(prompt, fields, signal) {
    const body = JSON.stringify({ model: name, prompt, return_token_ids: true, return_tokens_as_token_ids: true, ...fields });
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` };
    return asked(offer.completions.replace(/^\//, ""), { method: "POST", headers, body, signal });
  }

  /**
   * The log-probabilities of the first new token, by its id.
   *
   * @param {number[]} prompt
   * @param {Record<string, any>} fields
   * @returns {Promise<Map<number, number>>}
   */
  async function top(prompt, fields) {
    const answer = await (await complete(prompt, { max_tokens: 1, temperature: 1, ...fields })).json();
    const told = answer.choices?.[0]?.logprobs?.top_logprobs?.[0];
    if (!told) throw new ClassroomError("class_other");
    return new Map(Object.entries(told).map(([token, logprob]) => [Number(token.replace("token_id:", "")), logprob]));
  }

  /**
   * The server tells log-probabilities: the scores but for one number, the same for all, which a penalty for repetition
   * needs. It shows in what a penalty does to the prompt's last token, against one that is not in the prompt.
   *
   * @param {number[]} ids
   * @returns {Promise<Float32Array>}
   */
  async function logits(ids) {
    checkPrompt(ids, positions);
    const last = ids[ids.length - 1];
    const present = new Set(ids);
    let other = 0;
    while (present.has(other)) other++;
    const two = (/** @type {number} */ penalty) => top(ids, { logprobs: 2, allowed_token_ids: [last, other], repetition_penalty: penalty });
    const [all, ...penalised] = await Promise.all([top(ids, { logprobs: -1 }), two(2), two(0.5)]);
    const of = (/** @type {Map<number, number>} */ found, /** @type {number} */ id) => {
      const value = found.get(id);
      if (value === undefined) throw new ClassroomError("class_other");
      return value;
    };
    const before = of(all, last) - of(all, other);
    // A penalty of 2 takes a whole score from a negative one and half of it from a positive one; of 1/2, the other way
    // round: the larger change is the score.
    const changes = penalised.map((pair) => of(pair, last) - of(pair, other) - before);
    const score = Math.abs(changes[0]) > Math.abs(changes[1]) ? changes[0] : changes[1];
    return Float32Array.from({ length: vocab }, (_, id) => of(all, id) + score - of(all, last));
  }

  /**
   * @param {number[]} ids
   * @param {any} given
   * @param {{ onToken?: (event: any) => void, signal?: AbortSignal }} [how]
   */
  async function generate(ids, given, { onToken, signal } = {}) {
    const settings = checkSettings(given);
    checkPrompt(ids, positions, settings);
    checkForServer(settings);
    const fields = fieldsOf(settings, ids.length);
    const count = settings.do_sample ? settings.num_return_sequences : 1;
    const sequences = await Promise.all(Array.from({ length: count }, (_, sequence) => writeOne(sequence)));
    return { promptIds: [...ids], settings, sequences };

    /** @param {number} sequence */
    async function writeOne(sequence) {
      const decoder = tokenizer.decoder();
      let text = "";
      for (const id of ids) text += decoder.push(id);
      /** @type {number[]} */
      const tokenIds = [...ids];
      /** @type {{ tokenId: number, raw: number, final: number }[]} */
      const steps = [];
      // Texts and neighbouring seeds have nothing in common; a notebook asks with the same numbers.
      const seed = settings.do_sample ? { seed: (settings.seed ?? 0) * 10_000 + sequence * 100 } : {};
      try {
        for await (const event of events(await complete(ids, { ...fields, ...seed, stream: true }, signal))) {
          for (const choice of event.choices ?? []) {
            for (const [i, tokenId] of (choice.token_ids ?? []).entries()) {
              const final = settings.do_sample ? Math.exp(choice.logprobs.token_logprobs[i]) : 1;
              const grown = decoder.push(tokenId);
              text += grown;
              tokenIds.push(tokenId);
              // What the model itself thought of it is asked when the text is finished.
              steps.push({ tokenId, raw: Number.NaN, final });
              onToken?.({ sequence, tokenId, text: grown, raw: Number.NaN, final });
            }
          }
        }
      } catch (error) {
        if (!signal?.aborted) throw error;
      }
      const raws = steps.length ? await rawsOf(tokenIds) : [];
      steps.forEach((step, i) => {
        step.raw = raws[i];
      });
      const full = tokenIds.length >= settings.max_length ? "max_length" : "user";
      return { text: text + decoder.end(), tokenIds, steps, stopped: steps.at(-1)?.tokenId === eos ? "eos" : full };
    }

    /** The model's own probability of each new token. @param {number[]} tokenIds */
    async function rawsOf(tokenIds) {
      // The server keeps room for one more token: a text that fills the model is asked in parts of its own.
      const prompt = tokenIds.slice(0, positions - 1);
      const answer = await (await complete(prompt, { max_tokens: 1, prompt_logprobs: 0 })).json();
      const told = answer.choices?.[0]?.prompt_logprobs ?? [];
      return tokenIds.slice(ids.length).map((id, i) => {
        const logprob = told[ids.length + i]?.[id]?.logprob;
        return logprob === undefined ? Number.NaN : Math.exp(logprob);
      });
    }
  }

  /**
   * The settings in the server's words; its lengths are those of what is new.
   *
   * @param {any} settings
   * @param {number} tokens  number of tokens of the prompt
   */
  function fieldsOf(settings, tokens) {
    const { top_k, top_p, temperature, repetition_penalty } = settings;
    return {
      max_tokens: settings.max_length - tokens,
      min_tokens: Math.max(0, settings.min_length - tokens),
      repetition_penalty,
      stop_token_ids: [eos],
      logprobs: 0,
      ...(settings.do_sample ? { temperature, top_k: Math.min(top_k, vocab), top_p } : { temperature: 0 }),
    };
  }

  return {
    info: { name, kind: "server", vocab, positions, eos, pad: tokenizer.special.pad, unknown: tokenizer.special.unknown },
    ...here,
    /**
     * @param {any} settings
     * @param {number[]} [ids]
     */
    check(settings, ids) {
      const checked = here.check(settings, ids);
      checkForServer(checked);
      return checked;
    },
    logits,
    generate,
  };
}

/** @param {any} settings */
function checkForServer({ do_sample, temperature }) {
  const { low, high } = TEMPERATURES;
  if (do_sample && !(temperature >= low && temperature <= high)) {
    throw new SettingsError("temperature", "range", { value: temperature, low, high, integer: false });
  }
}

/**
 * An answer of the server, or a ClassroomError that says why there is none.
 *
 * @param {string} path
 * @param {RequestInit} [how]
 */
async function asked(path, how) {
  /** @type {Response} */
  let answer;
  try {
    answer = await fetch(path, how);
  } catch (error) {
    if (how?.signal?.aborted) throw error;
    throw new ClassroomError("class_gone");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) throw new ClassroomError("class_key");
  if (answer.status === 429) throw new ClassroomError("class_busy");
  if (answer.status >= 500) throw new ClassroomError("class_gone");
  const { error } = await answer.json().catch(() => ({}));
  if (answer.status === 400 && error?.param) throw new ClassroomError("class_limit", { field: error.param, limit: error.limit ?? "–" });
  throw new ClassroomError("class_other");
}

/**
 * The events of a stream, as they come.
 *
 * @param {Response} answer
 * @returns {AsyncGenerator<any>}
 */
async function* events(answer) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new ClassroomError("class_gone");
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      if (line.slice(6).trim() === "[DONE]") return;
      const event = JSON.parse(line.slice(6));
      // The engine died in the middle: vLLM says so as an event.
      if (event.error) throw new ClassroomError("class_gone");
      yield event;
    }
  }
}
