// 伏せ字. With the switch on, each character of a listed word is × wherever the page shows, draws or copies it. A word is looked
// for in the text as it runs on: from the prompt into what was written, across tokens, into a token that could come next. Nothing
// is drawn again, so that a seed's tokens stay. A tap shows a word in that one text; copies, pictures and other panes keep it
// covered. What has to stay exact is not readable instead: the prompt's box is veiled while nobody types in it, links are
// percent-encoded, Python has \u escapes. The words are found as helpers/masking.py finds them.

import house from "house";

/** @type {{ word: string, innocent: string[] }[]} each word, and the longer strings in which it is innocent */
const LISTED = house.masked;

/** What Japanese printers put for a character that they may not print. */
export const SIGN = "×";

/**
 * Where listed words stand in a text: [start, end) of each, in UTF-16 units; words that overlap are one.
 *
 * @param {string} text
 * @returns {[number, number][]}
 */
export function listedWords(text) {
  /** @type {[number, number][]} */
  const words = [];
  let rest = text;
  // A cover can take away what made a neighbour innocent.
  for (let found = wordsIn(rest); found.length; found = wordsIn(rest)) {
    words.push(...found);
    rest = replaced(rest, found, crosses);
  }
  words.sort((a, b) => a[0] - b[0]);
  /** @type {[number, number][]} */
  const apart = [];
  for (const word of words) {
    const last = apart[apart.length - 1];
    if (last && word[0] < last[1]) last[1] = Math.max(last[1], word[1]);
    else apart.push(word);
  }
  return apart;
}

/** @param {string} text */
function wordsIn(text) {
  /** @type {[number, number][]} */
  const found = [];
  for (const { word, innocent } of LISTED) {
    if (!text.includes(word)) continue;
    const fine = innocent.flatMap((longer) => places(longer, text));
    for (const [start, end] of places(word, text)) {
      if (!fine.some(([from, to]) => from <= start && end <= to)) found.push([start, end]);
    }
  }
  return found;
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

const crosses = (/** @type {string} */ word) => SIGN.repeat(word.length);

/**
 * A text with something else in the place of words.
 *
 * @param {string} text
 * @param {[number, number][]} words
 * @param {(word: string) => string} [by]
 */
export function replaced(text, words, by = crosses) {
  let result = text;
  for (const [start, end] of [...words].reverse()) {
    result = result.slice(0, start) + by(result.slice(start, end)) + result.slice(end);
  }
  return result;
}

/**
 * A text as it may be shown.
 *
 * @param {{ masking: boolean }} lab
 * @param {string} text
 * @param {(word: string) => string} [by]
 */
export const covered = (lab, text, by) => (lab.masking ? replaced(text, listedWords(text), by) : text);

/**
 * Pieces that follow each other, as they may be shown.
 *
 * @param {{ masking: boolean }} lab
 * @param {string[]} pieces
 */
export function coveredPieces(lab, pieces) {
  const text = covered(lab, pieces.join(""));
  let at = 0;
  return pieces.map((piece) => {
    at += piece.length;
    return text.slice(at - piece.length, at);
  });
}

/**
 * The pieces of tokens that follow each other, as they may be shown.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {ArrayLike<number>} ids
 */
export const coveredTokens = (lab, ids) => coveredPieces(lab, Array.from(ids, (id) => lab.model.piece(id)));

/**
 * The piece of a token that could come after others, as it may be shown.
 *
 * @param {import("./lab.js").Lab} lab
 * @param {number[]} ids
 * @param {number} tokenId
 */
export const coveredNext = (lab, ids, tokenId) => coveredTokens(lab, [...ids, tokenId])[ids.length];
