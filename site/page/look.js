// Colours, hatches and marks: what helpers/charts/look.py says, as styles.

import house from "house";

import { h } from "./dom.js";
import { choose, percent, say } from "./words.js";

/** @type {Record<string, any>} colour, hatch and label of what a token is cut by ("null": it is kept) */
export const ZONES = Object.fromEntries(house.look.zones.map((/** @type {any} */ zone) => [String(zone.cutBy), zone]));

/**
 * A zone as a background: kept is plain, the others are hatched, so that no colour is needed to tell them apart.
 *
 * @param {string | null} cutBy
 */
export function zoneBackground(cutBy) {
  const { colour, hatch } = ZONES[String(cutBy)];
  return hatch ? `repeating-linear-gradient(${hatch}, ${colour} 0 3px, transparent 3px 6px)` : colour;
}

/** @param {string | null} cutBy */
export const zoneLabel = (cutBy) => choose(ZONES[String(cutBy)].label);

/** From likely to surprising: the least probability, the background, the underline that says the same. */
export const SURPRISE = house.look.surprise;

/**
 * Which of SURPRISE a probability is; -1 where it is not known yet.
 *
 * @param {number} probability
 * @returns {number}
 */
export const surprise = (probability) =>
  SURPRISE.findIndex((/** @type {{ from: number }} */ { from }) => probability >= from);

/**
 * A token's mark as a style.
 *
 * @param {number} level  of SURPRISE
 */
export function markStyle(level) {
  if (level < 0) return { "background-color": "transparent", color: "inherit" };
  const { background, underline } = SURPRISE[level];
  const line = underline === "none" ? {} : { "text-decoration": `underline ${underline} #555`, "text-underline-offset": "3px" };
  return { "background-color": background, color: house.look.text, ...line };
}

/**
 * What a mark means, in words.
 *
 * @param {number} level  of SURPRISE
 */
export function markLabel(level) {
  const { from } = SURPRISE[level];
  return from ? say("or_more", { percent: percent(from) }) : say("under", { percent: percent(SURPRISE[level - 1].from) });
}

/** All marks and what they mean. */
export function legend() {
  const samples = SURPRISE.map((/** @type {any} */ _, /** @type {number} */ level) =>
    h("span", { class: "sample", style: markStyle(level) }, markLabel(level)),
  );
  return h("p", { class: "note legend" }, `${say("legend_title")}: `, ...samples);
}

/**
 * A token's piece as text: `▁` is the space it is.
 *
 * @param {any} model
 * @param {number} tokenId
 */
export const pieceText = (model, tokenId) => model.piece(tokenId).replaceAll("▁", " ");
