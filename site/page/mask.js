// 伏せ字: covers the words of a list, and never draws again, so that a seed's tokens stay. As helpers/masking.py finds them.

import house from "house";

/** @type {{ word: string, innocent: string[] }[]} each word, and the longer strings in which it is innocent */
const LISTED = house.masked;

/** What Japanese printers put for a character that they may not print. */
export const SIGN = "×";

/**
 * Where listed words stand in a text: [start, end) of each, in UTF-16 units.
 *
 * @param {string} text
 * @returns {[number, number][]}
 */
export function listedWords(text) {
  /** @type {[number, number][]} */
  const found = [];
  for (const { word, innocent } of LISTED) {
    if (!text.includes(word)) continue;
    const fine = innocent.flatMap((longer) => places(longer, text));
    for (const [start, end] of places(word, text)) {
      if (!fine.some(([from, to]) => from <= start && end <= to)) found.push([start, end]);
    }
  }
  return found.sort((a, b) => a[0] - b[0]);
}

/**
 * @param {string} part
 * @param {string} text
 * @returns {[number, number][]}
 */
function places(part, text) {
  /** @type {[number, number][]} */
  const found = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) found.push([at, at + part.length]);
  return found;
}

/**
 * A text as it may be shown: with the switch on, each character of a listed word is ×.
 *
 * @param {{ masking: boolean }} lab
 * @param {string} text
 */
export function covered(lab, text) {
  if (!lab.masking) return text;
  let shown = text;
  for (const [start, end] of listedWords(text)) {
    shown = shown.slice(0, start) + SIGN.repeat(end - start) + shown.slice(end);
  }
  return shown;
}
