// The teacher's model, where this page came from the class's server (`make class`): text and ids are made here, the
// scores and the random numbers are the server's. docs/class-server.md says what it is asked and how it answers.

import { checkPrompt, checkSettings, openTokenizer, SettingsError, withoutModel } from "../engine/model.js";

/** What vLLM takes; below the lower one it would compute with that one and tell nobody. */
const TEMPERATURES = { low: 0.01, high: 2 };

/** The milliseconds before each new try at a text that broke off, as in a notebook: for a shaky network. */
const PAUSES = [200, 1000];

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
  const offer = await jsonOf(await asked("class.json"));
  const { model: name, vocab_size: vocab, n_positions: positions, eos_token_id: eos } = offer;
  const files = offer.files.replace(/^\//, "");
  const config = await jsonOf(await asked(`${files}tokenizer_config.json`));
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
   * @param {number[]} prompt
   * @param {Record<string, any>} fields
   * @returns {Promise<Map<number, number>>}
   */
  async function top(prompt, fields) {
    return topOf(await jsonOf(await complete(prompt, { max_tokens: 1, temperature: 1, ...fields })));
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
   * @param {{ onToken?: (event: any) => void, onResumed?: () => void, signal?: AbortSignal }} [how]  `onResumed`: a text broke
   *   off and is written on, with other random numbers
   */
  async function generate(ids, given, { onToken, onResumed, signal } = {}) {
    const settings = checkSettings(given);
    checkPrompt(ids, positions, settings);
    checkForServer(settings);
    const count = settings.do_sample ? settings.num_return_sequences : 1;
    // Where one breaks off, the others are still read to their end: nothing that came is lost.
    const written = await Promise.allSettled(Array.from({ length: count }, (_, sequence) => writeOne(sequence)));
    const sequences = written.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return one.value;
    });
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

      /** @param {any} event */
      function take(event) {
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

      const whole = () => steps.at(-1)?.tokenId === eos || tokenIds.length >= settings.max_length;
      for (let failures = 0; !whole(); ) {
        // Texts and neighbouring seeds have nothing in common, nor has what follows a break; a notebook asks with the same numbers.
        const seed = settings.do_sample ? { seed: (settings.seed ?? 0) * 10_000 + sequence * 100 + failures } : {};
        try {
          const fields = { ...fieldsOf(settings, tokenIds.length), ...seed, stream: true };
          for await (const event of events(await complete(tokenIds, fields, signal))) take(event);
          break;
        } catch (error) {
          if (signal?.aborted || whole()) break;
          // Once it has begun, it is worth another try; a refusal is final.
          const broken = error instanceof ClassroomError && error.code === "class_gone" && steps.length;
          if (!broken || failures >= PAUSES.length) throw error;
          await new Promise((go) => setTimeout(go, PAUSES[failures]));
          failures++;
          if (signal?.aborted) break;
          if (settings.do_sample) onResumed?.();
        }
      }
      // Without them the text is whole all the same.
      const raws = steps.length ? await rawsOf(tokenIds).catch(() => []) : [];
      steps.forEach((step, i) => {
        step.raw = raws[i] ?? Number.NaN;
      });
      const full = tokenIds.length >= settings.max_length ? "max_length" : "user";
      return { text: text + decoder.end(), tokenIds, steps, stopped: steps.at(-1)?.tokenId === eos ? "eos" : full };
    }

    /** The model's own probability of each new token. @param {number[]} tokenIds */
    async function rawsOf(tokenIds) {
      // The server keeps room for one more token: the last one of a text that fills the model is among the candidates for it.
      const fills = tokenIds.length >= positions;
      const read = fills ? tokenIds.slice(0, positions - 1) : tokenIds;
      const fields = { max_tokens: 1, prompt_logprobs: 0, temperature: 1, ...(fills ? { logprobs: -1 } : {}) };
      const answer = await jsonOf(await complete(read, fields));
      const told = answer.choices?.[0]?.prompt_logprobs ?? [];
      const last = fills ? topOf(answer) : null;
      return tokenIds.slice(ids.length).map((id, i) => {
        const logprob = told[ids.length + i]?.[id]?.logprob ?? last?.get(id);
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
 * The JSON of an answer; a page of a network's login is none.
 *
 * @param {Response} answer
 * @returns {Promise<any>}
 */
function jsonOf(answer) {
  return answer.json().catch(() => {
    throw new ClassroomError("class_other");
  });
}

/**
 * An event's JSON.
 *
 * @param {string} text
 * @returns {any}
 */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ClassroomError("class_other");
  }
}

/**
 * The log-probabilities of the first new token, by its id.
 *
 * @param {any} answer
 * @returns {Map<number, number>}
 */
function topOf(answer) {
  const told = answer.choices?.[0]?.logprobs?.top_logprobs?.[0];
  if (!told) throw new ClassroomError("class_other");
  return new Map(Object.entries(told).map(([token, logprob]) => [Number(token.replace("token_id:", "")), logprob]));
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
    const { value, done } = await reader.read().catch(() => {
      throw new ClassroomError("class_gone");
    });
    if (done) throw new ClassroomError("class_gone");
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      if (line.slice(6).trim() === "[DONE]") return;
      const event = parsed(line.slice(6));
      // The engine died in the middle: vLLM says so as an event.
      if (event.error) throw new ClassroomError("class_gone");
      yield event;
    }
  }
}
