// What the page knows and does, without a picture: the text, the settings, the run. Panes listen to its events.

import house from "house";

import { DEFAULTS, sentenceOf } from "./settings.js";
import { say } from "./words.js";

/**
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {{ prompt: string, chosen: number[] }} Draft  the typed prompt, and the tokens chosen after it one by one
 * @typedef {{ tokenId: number, raw: number, final: number }} Step
 * @typedef {{ tokenIds: number[], steps: Step[], text: string, stopped: null | "eos" | "max_length" | "user" }} Sequence
 * @typedef {object} Run  one press of the button
 * @property {Draft} draft
 * @property {number[]} promptIds  of the prompt and the chosen tokens
 * @property {Settings} settings
 * @property {Sequence[]} sequences  they grow while they are written; `stopped` is null until then
 */

/** How many distributions are kept at hand, so that going back and forth does not run the model again. */
const KEPT = 16;
/** How many steps back are kept. */
const STEPS_BACK = 600;

/**
 * Events: "draft" (the text to be continued), "settings", "focus" (whose next token is in the picture), "run" (a new
 * one), "token" (one more of the run), "written" (the run is done), "problem", "words", "mask".
 */
export class Lab extends EventTarget {
  /** @type {any} the engine's model, once it is loaded */
  model = null;
  prompt = house.opening;
  /** @type {number[]} */
  chosen = [];
  /** @type {Draft[]} */
  before = [];
  /** @type {Settings} */
  settings = { ...DEFAULTS };
  /** @type {Run | null} */
  run = null;
  /** @type {{ sequence: number, step: number } | null} the new token of a text that was picked */
  focus = null;
  /** What a button could not do, in a sentence. */
  problem = "";
  /** Whether writing again with nothing changed takes the next seed. */
  newSeed = true;
  /** Whether the seed was set by hand since the last text: then the next one has it, be it the same as before. */
  seedByHand = false;
  masking = false;
  /** The key of the class's server, from the link. */
  key = "";
  /** Whether the teacher's model is asked for, by the link or by choice. */
  teacher = false;
  /** @type {import("./link.js").Broken[]} what could not be read in the link */
  broken = [];

  /** @type {AbortController | null} */
  #writing = null;
  #tokenized = { text: "", result: /** @type {any} */ (null) };
  /** @type {Map<string, Promise<Float32Array>>} */
  #logits = new Map();

  /**
   * @param {string} event
   * @param {any} [detail]
   */
  tell(event, detail) {
    this.dispatchEvent(new CustomEvent(event, { detail }));
  }

  /**
   * @param {string} events  names, a space between
   * @param {(event: any) => void} listener
   */
  on(events, listener) {
    for (const name of events.split(" ")) this.addEventListener(name, listener);
  }

  /**
   * Take a model. Another one's tokens are other ones: what was chosen or written with it goes.
   *
   * @param {any} model
   */
  useModel(model) {
    this.stop();
    this.model = model;
    if (this.#tokenized.result) this.chosen = [];
    this.before = [];
    this.focus = null;
    this.run = null;
    this.#tokenized = { text: "", result: null };
    this.#logits.clear();
    this.act();
    this.tell("model");
  }

  get writing() {
    return this.#writing !== null;
  }

  // The text

  /** The prompt's tokens, as the engine gives them. */
  tokens() {
    if (this.#tokenized.result === null || this.#tokenized.text !== this.prompt) {
      this.#tokenized = { text: this.prompt, result: this.model.tokenize(this.prompt) };
    }
    return this.#tokenized.result;
  }

  /** The ids of the text to be continued. @returns {number[]} */
  ids() {
    return [...this.tokens().ids, ...this.chosen];
  }

  /** The ids of the text whose next token the picture shows. @returns {number[]} */
  focusedIds() {
    if (!this.focus || !this.run) return this.ids();
    const { promptIds, sequences } = this.run;
    return [...sequences[this.focus.sequence].tokenIds].slice(0, promptIds.length + this.focus.step);
  }

  /**
   * What was typed. Tokens chosen by hand belonged to the text before.
   *
   * @param {string} prompt
   */
  type(prompt) {
    this.prompt = prompt;
    this.chosen = [];
    this.before = [];
    this.focus = null;
    this.act();
    this.tell("draft");
  }

  /**
   * Go to another text; `back` returns to this one.
   *
   * @param {Draft} draft
   */
  goTo(draft) {
    this.before.push({ prompt: this.prompt, chosen: this.chosen });
    if (this.before.length > STEPS_BACK) this.before.shift();
    this.#show(draft);
  }

  back() {
    const draft = this.before.pop();
    if (draft) this.#show(draft);
  }

  /** @param {Draft} draft */
  #show(draft) {
    this.prompt = draft.prompt;
    this.chosen = [...draft.chosen];
    this.focus = null;
    this.act();
    this.tell("draft");
  }

  /** @param {Lab["focus"]} focus */
  pick(focus) {
    this.focus = focus;
    this.act();
    this.tell("focus");
  }

  /**
   * Put a token where the picture is: at the end of the text, or in place of a token that was picked. From there the
   * text is written on.
   *
   * @param {number} tokenId
   */
  choose(tokenId) {
    if (tokenId === this.model.info.eos) {
      this.tell("end");
      return;
    }
    if (!this.focus || !this.run) {
      this.goTo({ prompt: this.prompt, chosen: [...this.chosen, tokenId] });
      return;
    }
    const { draft, promptIds } = this.run;
    const written = this.focusedIds().slice(promptIds.length);
    this.goTo({ prompt: draft.prompt, chosen: [...draft.chosen, ...written, tokenId] });
    this.write();
  }

  // The settings

  /** @param {Partial<Settings>} changes */
  set(changes) {
    this.settings = { ...this.settings, ...changes };
    this.act();
    this.tell("settings");
  }

  /** The reader has done something: what a click could not do before is out of date. */
  act() {
    this.#say("");
  }

  /** @param {string} sentence */
  #say(sentence) {
    if (sentence === this.problem) return;
    this.problem = sentence;
    this.tell("problem");
  }

  // The model

  /**
   * The scores of the token after `ids`, from memory where they were asked for before.
   *
   * @param {number[]} ids
   * @returns {Promise<Float32Array>}
   */
  logits(ids) {
    const key = ids.join();
    const kept = this.#logits.get(key);
    /** @type {Promise<Float32Array>} */
    const asked = kept ?? this.model.logits(ids);
    if (!kept) {
      asked.catch(() => this.#logits.delete(key));
      if (this.#logits.size >= KEPT) this.#logits.delete(/** @type {string} */ (this.#logits.keys().next().value));
    }
    // Put last again: what was used longest ago goes first.
    this.#logits.delete(key);
    this.#logits.set(key, asked);
    return asked;
  }

  /**
   * What keeps the text from being continued with these settings, in a sentence; "" if nothing does.
   *
   * @param {Settings} [settings]
   */
  obstacle(settings = this.settings) {
    try {
      this.model.check(settings, this.ids());
      return "";
    } catch (error) {
      return sentenceOf(error);
    }
  }

  /** What keeps the next token's picture from being drawn: as `obstacle`, but one token needs no room for a whole text. */
  pictureObstacle() {
    const { positions } = this.model.info;
    try {
      this.model.check({ ...this.settings, max_length: positions, min_length: 0 }, this.ids());
      this.model.check(this.settings);
      return "";
    } catch (error) {
      return sentenceOf(error);
    }
  }

  /**
   * Continue the text. What is being written stops; the same once more takes the next seed.
   *
   * @param {{ again?: boolean }} [how]  `again: false` keeps the seed, whatever was written before
   */
  async write({ again = this.newSeed } = {}) {
    if (!this.model) return;
    this.stop();
    const obstacle = this.obstacle();
    if (obstacle) {
      this.#say(obstacle);
      return;
    }
    const wanted = this.seedByHand;
    this.seedByHand = false;
    if (again && !wanted && this.settings.do_sample && this.run && sameStart(this.run, this)) {
      this.settings = { ...this.settings, seed: (this.settings.seed + 1) % 2 ** 32 };
      this.tell("settings");
    }
    const ids = this.ids();
    const settings = { ...this.settings };
    const start = this.model.decode(ids);
    /** @type {Run} */
    const run = {
      draft: { prompt: this.prompt, chosen: [...this.chosen] },
      promptIds: ids,
      settings,
      sequences: Array.from({ length: settings.do_sample ? settings.num_return_sequences : 1 }, () => ({
        tokenIds: [...ids],
        steps: [],
        text: start,
        stopped: null,
      })),
    };
    const writing = new AbortController();
    this.#writing = writing;
    this.run = run;
    this.focus = null;
    this.act();
    this.tell("run");
    try {
      const onToken = (/** @type {any} */ event) => {
        const { sequence, tokenId, text, raw, final } = event;
        const written = run.sequences[sequence];
        written.tokenIds.push(tokenId);
        written.steps.push({ tokenId, raw, final });
        written.text += text;
        if (run === this.run) this.tell("token");
      };
      let resumed = false;
      const onResumed = () => {
        // Once for all texts: they break off together.
        if (run === this.run && !resumed) this.tell("notice", { sentence: say("class_resumed") });
        resumed = true;
      };
      const generation = await this.model.generate(ids, settings, { onToken, onResumed, signal: writing.signal });
      run.sequences = generation.sequences;
    } catch (error) {
      for (const sequence of run.sequences) sequence.stopped ??= "user";
      if (run === this.run) this.#say(sentenceOf(error));
    }
    if (this.#writing === writing) this.#writing = null;
    if (run === this.run) this.tell("written");
  }

  /** Let what is being written end with the token it is at; what was written stays. */
  stop() {
    this.#writing?.abort();
    this.#writing = null;
  }
}

/**
 * Whether a run started from where the lab stands now.
 *
 * @param {Run} run
 * @param {Lab} lab
 */
function sameStart(run, lab) {
  const start = (/** @type {Draft} */ { prompt, chosen }, /** @type {Settings} */ settings) =>
    JSON.stringify([prompt, chosen, Object.entries(settings).sort()]);
  return start(run.draft, run.settings) === start(lab, lab.settings);
}
