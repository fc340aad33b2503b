// A picture of the way through the model for the text at hand: tokens, vectors, attention, scores, lottery.
// Every number comes from the engine's trace of this text.

import { afterPause, byId, fill, h } from "./dom.js";
import { ZONES, zoneLabel } from "./look.js";
import { covered, coveredNext, coveredTokens } from "./mask.js";
import { chip } from "./prompt.js";
import { sentenceOf } from "./settings.js";
import { percent, say, whole } from "./words.js";

/** @typedef {"tokens" | "vectors" | "attention" | "scores" | "lottery"} Stage */
/** @type {Stage[]} */
const STAGES = ["tokens", "vectors", "attention", "scores", "lottery"];

/** Of a longer text the end is drawn. */
const TOKENS_DRAWN = 40;
const SCORES_DRAWN = 10;
/** @param {string} colour  as "#rrggbb" */
const parts = (colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
/** Negative and positive numbers: two colours of the lab, apart in brightness too. */
const NEGATIVE = parts(ZONES.null.colour);
const POSITIVE = parts(ZONES.top_p.colour);

/** @param {import("./lab.js").Lab} lab */
export function startWay(lab) {
  const pane = byId("way-pane");
  const box = byId("way");
  /** @type {Stage} */
  let stage = "attention";
  let layer = -1;
  let seen = false;
  let head = 0;
  /** @type {number | null} the token whose attention is in sight, the last one without a choice */
  let from = null;
  /** @type {any} */
  let trace = null;
  /** @type {number[]} */
  let ids = [];
  let asked = 0;

  const follow = afterPause(200, async () => {
    if (!pane.open || !lab.model) return;
    const obstacle = lab.model.trace ? lab.pictureObstacle() : say("way_elsewhere");
    if (obstacle) {
      trace = null;
      fill(box, h("p", { class: "note" }, obstacle));
      return;
    }
    const wanted = lab.focusedIds();
    if (trace && wanted.join() === ids.join()) {
      draw();
      return;
    }
    const mine = ++asked;
    if (!trace) fill(box, h("p", { class: "note" }, say("way_wait")));
    const found = await lab.model.trace(wanted).catch((/** @type {unknown} */ error) => {
      fill(box, h("p", { class: "problem" }, `⚠ ${sentenceOf(error)}`));
      return null;
    });
    if (!found || mine !== asked) return;
    trace = found;
    ids = wanted;
    from = null;
    // In the middle, heads look at more than their own place.
    if (!seen) layer = Math.floor(trace.layers / 2);
    seen = true;
    draw();
  });

  const first = () => Math.max(0, trace.tokens - TOKENS_DRAWN);
  /** The text's tokens as they are written in the picture. @type {string[]} */
  let words = [];
  const word = (/** @type {number} */ place) => words[place];
  const next = (/** @type {number} */ tokenId) => coveredNext(lab, ids, tokenId);
  const attention = (/** @type {number} */ l, /** @type {number} */ k, /** @type {number} */ row, /** @type {number} */ column) =>
    trace.attention[l][(k * trace.tokens + row) * trace.tokens + column];
  const distribution = () => lab.model.applySettings(trace.logits, ids, lab.settings);

  function draw() {
    const focused = document.activeElement?.id;
    words = coveredTokens(lab, ids);
    const text = covered(lab, lab.model.decode(ids.slice(first())));
    const note = say("way_note", { text: first() ? `…${text}` : text }) + (first() ? say("way_cut", { n: TOKENS_DRAWN }) : "");
    fill(
      box,
      h("p", { class: "note" }, note),
      h("div", { class: "way", role: "group", "aria-label": say("way_title") }, ...STAGES.flatMap((name, i) => [i ? h("span", { class: "arrow", "aria-hidden": "true" }, "→") : null, stageButton(name)])),
      h("div", { class: "stage", id: "way-stage", role: "region", "aria-label": say(`way_${stage}`) }, h("p", {}, why()), ...details[stage]()),
    );
    if (focused && box.contains(document.getElementById(focused))) document.getElementById(focused)?.focus();
  }

  /** @param {Stage} name */
  function stageButton(name) {
    return h(
      "button",
      {
        type: "button",
        id: `way-${name}`,
        "aria-pressed": String(name === stage),
        "aria-controls": "way-stage",
        onclick: () => {
          stage = name;
          draw();
        },
      },
      h("b", {}, say(`way_${name}`)),
      h("span", { class: "mini", "aria-hidden": "true" }, ...minis[name]()),
    );
  }

  function why() {
    const { heads, width } = trace;
    return say(`way_${stage}_why`, { heads, width, vocabulary: whole(lab.model.info.vocab) });
  }

  // What each stage's button shows

  /** @type {Record<Stage, () => (Node | string)[]>} */
  const minis = {
    tokens: () => Array.from({ length: Math.min(4, trace.tokens) }, (_, i) => trace.tokens - Math.min(4, trace.tokens) + i).map((place) => chip(word(place), ids[place], false, place)),
    vectors: () => [vectorsCanvas(trace.states[Math.max(0, layer)], 56, 2, 5)],
    attention: () => Array.from({ length: trace.heads }, (_, k) => attentionCanvas(layer, k, 44)),
    scores: () => topScores(4).map(({ piece, share }) => h("span", { class: "score" }, h("span", {}, piece), h("i", { style: { width: `${share * 40}px`, background: ZONES.null.colour } }))),
    lottery: () => [lotteryStrip(6)],
  };

  // What is below when a stage was pressed

  /** @type {Record<Stage, () => (Node | string)[]>} */
  const details = {
    tokens: () => [h("div", { class: "chips" }, ...ids.slice(first()).map((id, i) => chip(word(first() + i), id, id === lab.model.info.unknown, i)))],
    vectors: () => {
      const layers = range("way_layer", "layer", -1, trace.layers - 1, layer, (value) => {
        layer = value;
      });
      const when = layer < 0 ? say("way_at_start") : say("way_after", { layer: layer + 1 });
      const values = layer < 0 ? trace.embeddings : trace.states[layer];
      const canvas = vectorsCanvas(values, trace.width, 3, 14);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", say("way_vectors_map", { when, tokens: trace.tokens - first(), width: trace.width }));
      const labels = h("div", { class: "row-labels", "aria-hidden": "true" }, ...rows().map((place) => h("span", {}, word(place))));
      return [h("div", { class: "row" }, layers, h("b", {}, when)), h("div", { class: "map", tabindex: 0, role: "group", "aria-label": say("way_vectors") }, labels, canvas)];
    },
    attention: () => {
      const place = from ?? trace.tokens - 1;
      const layers = range("way_layer", "layer", 0, trace.layers - 1, Math.max(0, layer), (value) => {
        layer = value;
      });
      layer = Math.max(0, layer);
      const heads = h("div", { class: "row", role: "group", "aria-label": say("way_head") }, ...Array.from({ length: trace.heads }, (_, k) => headButton(k)));
      return [h("div", { class: "row" }, layers), heads, h("p", {}, h("b", {}, say("way_looks", { token: word(place) }))), looks(place), h("p", { class: "note" }, mostLookedAt(place))];
    },
    scores: () => [
      h(
        "table",
        { class: "scores" },
        h("thead", {}, h("tr", {}, ...["way_tokens", "logit", "probability"].map((key) => h("th", { scope: "col" }, say(key))))),
        h(
          "tbody",
          {},
          ...topScores(SCORES_DRAWN).map(({ piece, logit, probability, share }) =>
            h(
              "tr",
              {},
              h("th", { scope: "row", lang: "ja" }, piece),
              h("td", {}, logit.toFixed(2)),
              h("td", {}, h("i", { class: "bar", style: { width: `${share * 50}%`, background: ZONES.null.colour } }), ` ${percent(probability)}`),
            ),
          ),
        ),
      ),
    ],
    lottery: () => {
      const found = distribution();
      const [drawn] = lab.model.draw(found, 1, lab.settings.seed);
      const place = found.tokenIds.indexOf(drawn);
      const { removed, kept } = found;
      const cuts = ["top_k", "top_p", "min_length"].filter((name) => removed[name]).map((name) => `${zoneLabel(name)}: ${whole(removed[name])}`);
      return [
        h("p", {}, `${whole(lab.model.info.vocab)} → ${[...cuts, `${zoneLabel(null)}: ${whole(kept)}`].join(" · ")}`),
        lotteryStrip(14),
        h("p", {}, h("b", {}, say("way_drawn", { seed: lab.settings.seed, piece: next(drawn), percent: percent(found.final[place]) }))),
      ];
    },
  };

  /** @param {number} k */
  function headButton(k) {
    const name = `${say("way_head")} ${k + 1}`;
    const choose = () => {
      head = k;
      draw();
    };
    return h(
      "button",
      { type: "button", id: `way-head-${k}`, class: "head", "aria-pressed": String(k === head), "aria-label": name, onclick: choose },
      attentionCanvas(layer, k, 88),
      h("span", {}, name),
    );
  }

  const rows = () => Array.from({ length: trace.tokens - first() }, (_, i) => first() + i);

  /**
   * A slider with its name and its value.
   *
   * @param {string} key
   * @param {string} id
   * @param {number} low
   * @param {number} high
   * @param {number} value
   * @param {(value: number) => void} move
   */
  function range(key, id, low, high, value, move) {
    const slider = h("input", { type: "range", id: `way-${id}`, min: low, max: high, step: 1, "aria-label": say(key) });
    slider.value = value;
    slider.setAttribute("aria-valuetext", value < 0 ? say("way_at_start") : String(value + 1));
    slider.addEventListener("input", () => {
      move(slider.valueAsNumber);
      draw();
    });
    return h("label", { class: "row" }, `${say(key)} `, slider, ` ${value < 0 ? say("way_at_start") : `${value + 1} / ${trace.layers}`}`);
  }

  /**
   * Vectors as rows of coloured cells, the first `columns` numbers of each.
   *
   * @param {Float32Array} values
   * @param {number} columns
   * @param {number} cellWidth
   * @param {number} cellHeight
   */
  function vectorsCanvas(values, columns, cellWidth, cellHeight) {
    const { width } = trace;
    const places = rows();
    const canvas = h("canvas", { width: columns, height: places.length, style: { width: `${columns * cellWidth}px`, height: `${places.length * cellHeight}px` } });
    // The spread of what is drawn: a few numbers are far greater than the rest and may be saturated.
    let squares = 0;
    for (const place of places) for (let i = 0; i < width; i++) squares += values[place * width + i] ** 2;
    const scale = 2 * Math.sqrt(squares / (places.length * width)) || 1;
    paint(canvas, (x, y) => {
      const value = values[places[y] * width + x] / scale;
      return [...(value < 0 ? NEGATIVE : POSITIVE), 255 * Math.min(1, Math.abs(value))];
    });
    return canvas;
  }

  /**
   * One head's attention: a row looks at a column.
   *
   * @param {number} l
   * @param {number} k
   * @param {number} size  in pixels of the page
   */
  function attentionCanvas(l, k, size) {
    const places = rows();
    const canvas = h("canvas", { width: places.length, height: places.length, class: "attention", style: { width: `${size}px`, height: `${size}px` } });
    paint(canvas, (x, y) => (x > y ? [128, 128, 128, 28] : [...NEGATIVE, 255 * Math.sqrt(attention(Math.max(0, l), k, places[y], places[x]))]));
    return canvas;
  }

  /** What one token looks at, for the head in sight: each token as dark as it is looked at. A press asks another token. @param {number} place */
  function looks(place) {
    return h(
      "div",
      { class: "looks", lang: "ja" },
      ...rows().map((to) => {
        const share = to <= place ? attention(layer, head, place, to) : 0;
        return h(
          "button",
          {
            type: "button",
            id: `way-token-${to}`,
            "aria-pressed": String(to === place),
            "aria-label": `${word(to)} ${percent(share)}`,
            title: percent(share),
            onclick: () => {
              from = to;
              draw();
            },
          },
          h("span", { class: "shade", style: { opacity: String(0.6 * Math.sqrt(share)) } }),
          h("span", { class: "word" }, word(to)),
          h("small", {}, to <= place ? percent(share) : "–"),
        );
      }),
    );
  }

  /** @param {number} place */
  function mostLookedAt(place) {
    const most = Array.from({ length: place + 1 }, (_, to) => ({ to, share: attention(layer, head, place, to) }))
      .sort((a, b) => b.share - a.share)
      .slice(0, 3)
      .map(({ to, share }) => `${word(to)} ${percent(share)}`)
      .join("、");
    return say("way_attention_map", { layer: layer + 1, head: head + 1, token: word(place), most });
  }

  /**
   * @param {number} n
   * @returns {{ piece: string, logit: number, probability: number, share: number }[]}
   */
  function topScores(n) {
    const top = distribution().head(n);
    return top.map((/** @type {any} */ { tokenId, raw }) => ({ piece: next(tokenId), logit: trace.logits[tokenId], probability: raw, share: raw / top[0].raw }));
  }

  /**
   * The lottery: each ticket as wide as it is likely, the one that was drawn marked.
   *
   * @param {number} n  how many tokens have a ticket of their own in sight
   */
  function lotteryStrip(n) {
    const found = distribution();
    const [drawn] = lab.model.draw(found, 1, lab.settings.seed);
    const tickets = [];
    let rest = 1;
    for (let i = 0; i < found.tokenIds.length; i++) {
      const tokenId = found.tokenIds[i];
      if (found.final[i] === 0 || (tickets.length >= n && tokenId !== drawn)) continue;
      tickets.push({ word: next(tokenId), share: found.final[i], drawn: tokenId === drawn });
      rest -= found.final[i];
    }
    const field = (/** @type {string} */ text, /** @type {number} */ share, /** @type {string} */ kind) =>
      h("span", { class: `field ${kind}`, style: { "flex-grow": String(share) }, title: `${text} ${percent(share)}` }, share > 0.05 ? text : "");
    return h(
      "span",
      { class: "lottery", role: "img", "aria-label": tickets.map(({ word, share }) => `${word} ${percent(share)}`).join("、") },
      ...tickets.map(({ word, share, drawn: won }, i) => field(word, share, won ? "won" : i % 2 ? "odd" : "even")),
      rest > 1e-6 ? field("…", rest, "rest") : null,
    );
  }

  pane.addEventListener("toggle", follow);
  lab.on("draft focus model run words mask", follow);
  lab.on("settings", () => pane.open && trace && !lab.pictureObstacle() && draw());
}

/**
 * Fill a canvas, a pixel at a time.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {(x: number, y: number) => number[]} colour  red, green, blue, opacity: 0 to 255
 */
function paint(canvas, colour) {
  const { width, height } = canvas;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = pen.createImageData(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) image.data.set(colour(x, y), 4 * (y * width + x));
  pen.putImageData(image, 0, 0);
}
