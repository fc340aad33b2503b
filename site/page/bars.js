// The next token as bars: above the model's own probability, below the one it is drawn with; what the settings cut is hatched.

import { beforeNextFrame, byId, enable, fill, h } from "./dom.js";
import { ZONES, zoneBackground, zoneLabel } from "./look.js";
import { coveredNext, coveredTokens } from "./mask.js";
import { numberIn, sentenceOf, shown } from "./settings.js";
import { number, percent, percents, say, whole } from "./words.js";

/** @param {import("./lab.js").Lab} lab */
export function startBars(lab) {
  const box = byId("bars");
  /** @type {any} */
  let distribution = null;
  /** @type {Float32Array | null} */
  let logits = null;
  /** @type {Map<number, number> | null} how often each token was drawn */
  let counts = null;
  let draws = 0;
  let drawn = 0;
  let guess = 0;

  // A slider's picture: the scores are at hand, the model is not run.
  const redraw = beforeNextFrame(() => {
    if (!lab.model) return;
    const obstacle = lab.pictureObstacle();
    if (obstacle || !logits) {
      distribution = null;
      if (obstacle) fill(box, h("p", { class: "note" }, say("bars_when_usable")), h("p", { class: "note" }, obstacle));
      return;
    }
    distribution = lab.model.applySettings(logits, lab.focusedIds(), lab.settings);
    draw();
  });

  async function follow() {
    if (!lab.model) return;
    counts = null;
    byId("draw-note").textContent = "";
    enable(byId("back"), lab.before.length > 0, byId("step"));
    if (lab.pictureObstacle()) {
      logits = null;
      redraw();
      return;
    }
    const ids = lab.focusedIds();
    const { model } = lab;
    box.setAttribute("aria-busy", "true");
    /** @type {Float32Array} */
    let found;
    try {
      found = await lab.logits(ids);
    } catch (error) {
      logits = distribution = null;
      if (model === lab.model) fill(box, h("p", { class: "problem" }, `⚠ ${sentenceOf(error)}`));
      return;
    }
    if (model !== lab.model) return;
    // Meanwhile the reader may have gone elsewhere.
    if (lab.pictureObstacle() || ids.join() !== lab.focusedIds().join()) return;
    box.removeAttribute("aria-busy");
    logits = found;
    redraw();
  }

  /** How many tokens there is room for: the page's style knows. */
  const room = () => Number(getComputedStyle(box).getPropertyValue("--rows"));

  function draw() {
    drawn = room();
    const rows = rowsFor(drawn);
    const total = counts ? [...counts.values()].reduce((a, b) => a + b, 0) : 0;
    let longest = 0;
    for (const row of rows) longest = Math.max(longest, row.raw, row.final, (counts?.get(row.tokenId) ?? 0) / (total || 1));
    const list = h("ol", { class: counts ? "bars counted" : "bars", "aria-label": say("next_title") });
    /** @type {Set<string>} */
    const marked = new Set();
    const shares = percents(rows.map((/** @type {any} */ row) => (row.cutBy ? row.raw : row.final)));
    for (const [i, row] of rows.entries()) {
      if ((row.cutBy === "top_p" || row.cutBy === "top_k") && !marked.has(row.cutBy)) {
        marked.add(row.cutBy);
        list.append(h("li", { class: "cut" }, say("cut_here", { name: row.cutBy, value: shown(lab.settings[/** @type {"top_k"} */ (row.cutBy)]) })));
      }
      list.append(barRow(row, shares[i], longest, total));
    }
    if (counts) {
      list.append(othersRow(rows, total));
      const [first] = rows;
      byId("draw-note").textContent = say("draw_result", { piece: pieceHere(first.tokenId), guess, expected: number(first.final * total), seen: counts.get(first.tokenId) ?? 0 });
    }
    const focused = /** @type {any} */ (document.activeElement);
    const kind = focused?.closest("li") ? "li button" : "button";
    const place = [...box.querySelectorAll(kind)].indexOf(focused);
    fill(box, heading(), list, strip(), summary());
    // The buttons are new ones: the keyboard stays where it was.
    if (place >= 0) /** @type {HTMLElement} */ (box.querySelectorAll(kind)[place])?.focus();
  }

  /** The most probable tokens; of a token that was picked, its own row too. @param {number} n */
  function rowsFor(n) {
    const rows = distribution.head(n);
    const tokenId = pickedToken();
    if (tokenId === null || rows.some((/** @type {any} */ row) => row.tokenId === tokenId)) return rows;
    const place = distribution.tokenIds.indexOf(tokenId);
    const own = { tokenId, piece: lab.model.piece(tokenId), raw: distribution.raw[place], final: distribution.final[place], cutBy: distribution.cutBy[place] };
    return [...rows.slice(0, n - 1), own];
  }

  /** A token of the picture, as it may be shown: the picked one as in its text, another as if it came there. @param {number} tokenId */
  function pieceHere(tokenId) {
    if (tokenId !== pickedToken() || !lab.run || !lab.focus) return coveredNext(lab, lab.focusedIds(), tokenId);
    const { promptIds, sequences } = lab.run;
    return coveredTokens(lab, sequences[lab.focus.sequence].tokenIds)[promptIds.length + lab.focus.step];
  }

  /** @returns {number | null} */
  function pickedToken() {
    if (!lab.focus || !lab.run) return null;
    return lab.run.sequences[lab.focus.sequence].steps[lab.focus.step]?.tokenId ?? null;
  }

  function heading() {
    const run = lab.run;
    if (!lab.focus || !run) return h("h2", {}, say("next_title"));
    const { sequence, step } = lab.focus;
    const title = say("at_token", { number: sequence + 1, place: step + 1, piece: pieceHere(/** @type {number} */ (pickedToken())) });
    return h("div", { class: "row" }, h("h2", {}, title), h("button", { type: "button", class: "small", onclick: () => lab.pick(null) }, say("to_prompt")));
  }

  /**
   * @param {any} row
   * @param {string} share  its probability, in words
   * @param {number} longest  probability of the longest bar
   * @param {number} total  number of draws
   */
  function barRow(row, share, longest, total) {
    const seen = counts?.get(row.tokenId) ?? 0;
    const width = (/** @type {number} */ p) => `${((100 * p) / longest).toFixed(2)}%`;
    const piece = pieceHere(row.tokenId);
    const words = {
      piece,
      raw: percent(row.raw),
      final: percent(row.final),
      zone: zoneLabel(row.cutBy),
      expected: number(row.final * total),
      seen,
    };
    const numbers = counts ? `${words.expected} → ${seen}` : share;
    return h(
      "li",
      { class: `${row.cutBy ? "out" : "in"}${row.tokenId === pickedToken() ? " own" : ""}` },
      h(
        "button",
        {
          type: "button",
          "aria-label": say(counts ? "bar_button_seen" : "bar_button", words),
          title: `id ${row.tokenId} · ${words.raw} → ${words.final} · ${words.zone}`,
          onclick: () => lab.choose(row.tokenId),
        },
        h("span", { class: "piece", lang: "ja" }, row.piece === "▁" ? say("space") : piece),
        h(
          "span",
          { class: "bar" },
          h("i", { class: "raw", style: { width: width(row.raw), background: zoneBackground(row.cutBy) } }),
          row.cutBy ? null : h("i", { class: "final", style: { width: width(row.final), background: ZONES.null.colour } }),
          total ? h("i", { class: "seen", style: { width: width(seen / total) } }) : null,
        ),
        h("span", { class: "percent" }, numbers),
      ),
    );
  }

  /**
   * What was drawn that has no row of its own, in sum.
   *
   * @param {any[]} rows
   * @param {number} total  number of draws
   */
  function othersRow(rows, total) {
    let expected = total;
    let seen = total;
    for (const { tokenId, final } of rows) {
      expected -= final * total;
      seen -= counts?.get(tokenId) ?? 0;
    }
    return h("li", { class: "others" }, h("span", { class: "piece" }, say("rest")), h("span", {}), h("span", { class: "percent" }, `${number(Math.max(0, expected))} → ${seen}`));
  }

  /** One strip for the whole vocabulary: how much of the model's probability lies in each zone, and how many tokens. */
  function strip() {
    /** @type {Record<string, number>} */
    const share = {};
    distribution.cutBy.forEach((/** @type {string | null} */ cutBy, /** @type {number} */ i) => {
      share[String(cutBy)] = (share[String(cutBy)] ?? 0) + distribution.raw[i];
    });
    const bar = h("div", { class: "strip", "aria-hidden": "true" });
    const words = h("ul", { class: "zones" });
    const zones = [null, "top_p", "top_k", "min_length"];
    const shares = percents(zones.map((zone) => Math.min(1, share[String(zone)] ?? 0)));
    for (const [place, zone] of zones.entries()) {
      const n = zone === null ? distribution.kept : (distribution.removed[zone] ?? 0);
      const value = zone === "top_k" || zone === "top_p" ? ` = ${shown(lab.settings[zone])}` : "";
      if (zone === "min_length" && !n) continue;
      bar.append(h("i", { style: { width: `${100 * (share[String(zone)] ?? 0)}%`, background: zoneBackground(zone) } }));
      words.append(
        h(
          "li",
          { class: zone === "min_length" ? "extra" : n ? "" : "idle" },
          h("i", { class: "key", "aria-hidden": "true", style: { background: zoneBackground(zone) } }),
          `${zoneLabel(zone)}${value}: ${say("pieces", { n: whole(n), share: shares[place] })}`,
        ),
      );
    }
    return h("div", {}, bar, words);
  }

  function summary() {
    const { entropy, rawEntropy } = distribution;
    return h(
      "p",
      { class: "note extra" },
      say("entropy", {
        after: number(entropy),
        before: number(rawEntropy),
        choices: number(2 ** entropy),
        choicesBefore: number(2 ** rawEntropy),
      }),
      " ",
      say("bars_legend"),
    );
  }

  // One token at a time, and a hundred draws

  // While the picture of a new place is on its way, the one that is shown is another place's lottery.
  const isOnItsWay = () => !distribution || box.hasAttribute("aria-busy");

  byId("step").addEventListener("click", () => {
    if (isOnItsWay()) return;
    if (lab.focus) {
      lab.pick(null);
      return;
    }
    // The place in the text takes part in the seed: else each step would draw the same number.
    const [tokenId] = lab.model.draw(distribution, 1, lab.settings.seed + lab.chosen.length);
    lab.choose(tokenId);
  });
  byId("back").addEventListener("click", () => lab.back());
  byId("draw").addEventListener("click", () => {
    if (isOnItsWay()) return;
    const times = 100;
    const written = byId("guess").value;
    const read = numberIn({ low: 0, high: times, integer: true }, written);
    byId("guess").setAttribute("aria-invalid", String(read === null));
    if (read === null) {
      byId("draw-note").textContent = say("guess_odd", { value: written.trim().slice(0, 40) || say("no_number") });
      return;
    }
    guess = read;
    counts = new Map();
    for (const id of lab.model.draw(distribution, times, lab.settings.seed + draws++)) counts.set(id, (counts.get(id) ?? 0) + 1);
    draw();
  });

  lab.on("end", () => {
    byId("draw-note").textContent = say("end_drawn");
  });
  lab.on("draft focus model run", follow);
  lab.on("settings", () => {
    counts = null;
    draws = 0;
    byId("draw-note").textContent = "";
    redraw();
  });
  lab.on("words mask", () => distribution && draw());
  const makeRoom = beforeNextFrame(() => {
    if (distribution && drawn !== room()) draw();
  });
  new ResizeObserver(makeRoom).observe(document.body);
  lab.on("open", makeRoom);
}
