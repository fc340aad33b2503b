/**
 * SentencePiece (unigram): text to token ids and back, with the library's own ids. `spiece.model` is read as it is.
 *
 * A text is first normalised (ｶﾀｶﾅ -> カタカナ, spaces -> ▁) by rules that lie in the file; then, of all ways to cut it
 * into pieces, the one with the highest sum of scores is taken.
 *
 * @typedef {{ surface: string, piece: string, id: number, unknown: boolean }} Piece `surface` is the text it covers
 * @typedef {{ ids: number[], pieces: Piece[], normalized: string, unknown: number }} Tokens
 */

// What a piece is, as numbered in the file.
const NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, BYTE = 6;
const UNIGRAM = 1;
// The library's penalty of an unknown character, and where its search for the largest score begins.
const UNKNOWN_PENALTY = 10, SMALLEST_FLOAT = 2 ** -126;
const SPACE = "▁", UNKNOWN_SURFACE = " ⁇ ";

const toBytes = new TextEncoder();
const toText = new TextDecoder("utf-8", { ignoreBOM: true });

/** A prompt that is not valid text: half of a character pair. `position` counts characters from 1. */
export class LoneSurrogate extends Error {
  /** @param {number} position */
  constructor(position) {
    super(`character ${position} of the text is half of a character pair`);
    this.position = position;
  }
}

/**
 * Visits the fields of a protocol buffer: numbers, and bytes for texts and for messages inside.
 * @param {Uint8Array<ArrayBuffer>} bytes @param {(field: number, value: any) => void} visit
 */
function fields(bytes, visit) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const integer = () => {
    let value = 0, unit = 1, byte = 0;
    do {
      if (at >= bytes.length) throw new RangeError("spiece.model is cut off");
      byte = bytes[at++];
      value += (byte & 127) * unit;
      unit *= 128;
    } while (byte & 128);
    return value;
  };
  while (at < bytes.length) {
    const key = integer(), field = Math.floor(key / 8), kind = key & 7;
    if (kind === 0) visit(field, integer());
    else if (kind === 1) at += 8; // no field of ours
    else if (kind === 2) {
      const length = integer();
      if (at + length > bytes.length) throw new RangeError("spiece.model is cut off");
      visit(field, bytes.subarray(at, at + length));
      at += length;
    } else if (kind === 5) {
      visit(field, view.getFloat32(at, true));
      at += 4;
    } else throw new RangeError("spiece.model is damaged");
  }
}

/**
 * The file's parts that matter here, named as in sentencepiece_model.proto.
 * @param {ArrayBuffer} file
 */
function parse(file) {
  /** @type {string[]} */ const pieces = [];
  /** @type {number[]} */ const scores = [];
  /** @type {number[]} */ const types = [];
  const spec = { prefix: true, squeeze: true, escape: true, rules: new Uint8Array(0) };
  let kind = UNIGRAM, suffix = 0;
  fields(new Uint8Array(file), (field, value) => {
    if (field === 1) {
      let piece = "", score = 0, type = NORMAL;
      fields(value, (f, v) => {
        if (f === 1) piece = toText.decode(v);
        else if (f === 2) score = v;
        else if (f === 3) type = v;
      });
      pieces.push(piece);
      scores.push(score);
      types.push(type);
    } else if (field === 2) {
      fields(value, (f, v) => {
        if (f === 3) kind = v;
        else if (f === 24) suffix = v;
      });
    } else if (field === 3) {
      fields(value, (f, v) => {
        if (f === 2) spec.rules = v;
        else if (f === 3) spec.prefix = Boolean(v);
        else if (f === 4) spec.squeeze = Boolean(v);
        else if (f === 5) spec.escape = Boolean(v);
      });
    }
  });
  if (!pieces.length || !types.includes(UNKNOWN)) throw new RangeError("this is no spiece.model");
  if (kind !== UNIGRAM || suffix) throw new RangeError("only unigram models are read here");
  return { pieces, scores, types, spec };
}

/**
 * The rules of normalisation: a trie (Darts: a double array of 32-bit units) over bytes, and the texts that its entries
 * stand for. `rule(bytes, at)` gives the longest entry at a place as [text, bytes it covers], or null.
 * @param {Uint8Array<ArrayBuffer>} map
 * @returns {(bytes: Uint8Array, at: number) => [string, number] | null}
 */
function normalizationRules(map) {
  if (!map.length) return () => null;
  const size = new DataView(map.buffer, map.byteOffset).getUint32(0, true);
  const units = new Uint32Array(map.slice(4, 4 + size).buffer), texts = map.subarray(4 + size);
  // How a unit is read: where its children begin, its own byte, whether an entry ends here, and which.
  const children = (/** @type {number} */ unit) => (unit >>> 10) << ((unit & 512) >>> 6);
  return (bytes, at) => {
    let node = children(units[0]), text = -1, covered = 0;
    for (let i = at; i < bytes.length; i++) {
      node ^= bytes[i];
      const unit = units[node];
      if ((unit & 0x800000ff) >>> 0 !== bytes[i]) break;
      node ^= children(unit);
      if ((unit >>> 8) & 1) {
        text = units[node] & 0x7fffffff;
        covered = i + 1 - at;
      }
    }
    return text < 0 ? null : [toText.decode(texts.subarray(text, texts.indexOf(0, text))), covered];
  };
}

/** The length in bytes of the character that begins with this byte. @param {number} byte */
const characterLength = (byte) => (byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4);

/**
 * @typedef {object} Special which tokens are no text, as tokenizer_config.json names them
 * @property {number} eos
 * @property {number} pad what fills up behind the end
 * @property {number} unknown
 * @property {Set<number>} all
 * @property {boolean} lower whether the model was trained on text in lower case
 */

/**
 * A tokenizer from `spiece.model` and, where there is one, what `tokenizer_config.json` says.
 * @param {ArrayBuffer} file @param {Record<string, any>} [config]
 * @throws {RangeError} the file is damaged, or of another kind than unigram
 */
export function readTokenizer(file, config = {}) {
  const { pieces, scores, types, spec } = parse(file);
  const rule = normalizationRules(/** @type {Uint8Array<ArrayBuffer>} */ (spec.rules));
  const byName = new Map(pieces.map((piece, id) => [piece, id]));
  const unknown = types.indexOf(UNKNOWN);

  // Each piece by its text, and with -1 each beginning of one: a search knows when to give up.
  /** @type {Map<string, number>} */
  const beginnings = new Map();
  /** @type {Map<number, Uint8Array[]>} */
  const userDefined = new Map();
  let least = Number.POSITIVE_INFINITY, most = SMALLEST_FLOAT;
  pieces.forEach((piece, id) => {
    if (types[id] === NORMAL) {
      least = Math.min(least, scores[id]);
      most = Math.max(most, scores[id]);
    } else if (types[id] === USER_DEFINED) {
      const bytes = toBytes.encode(piece), others = userDefined.get(bytes[0]) ?? [];
      userDefined.set(bytes[0], [...others, bytes].sort((a, b) => b.length - a.length));
    } else return;
    let beginning = "";
    for (const character of piece) {
      beginning += character;
      if (!beginnings.has(beginning)) beginnings.set(beginning, -1);
    }
    beginnings.set(piece, id);
  });
  const unknownScore = Math.fround(least - UNKNOWN_PENALTY);
  // A model that falls back on bytes writes an unknown character as several of these.
  const bytePieces = types.includes(BYTE)
    ? Array.from({ length: 256 }, (_, b) => byName.get(`<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`) ?? unknown)
    : null;
  const byteOf = new Map(bytePieces?.map((id, byte) => [id, byte]));

  const named = (/** @type {string} */ name) => {
    const value = config[`${name}_token`], piece = value?.content ?? value;
    return byName.get(piece);
  };
  const names = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];
  const extra = (config.additional_special_tokens ?? []).map((/** @type {any} */ t) => byName.get(t?.content ?? t));
  const eos = named("eos") ?? byName.get("</s>") ?? -1;
  /** @type {Special} */
  const special = {
    eos,
    pad: named("pad") ?? eos,
    unknown,
    all: new Set([...names.map(named), ...extra].filter((id) => id !== undefined)),
    lower: Boolean(config.do_lower_case),
  };

  /**
   * What stands for the text at a place, and how many bytes it covers.
   * @param {Uint8Array} bytes @param {number} at @returns {[string, number]}
   */
  function replaced(bytes, at) {
    const symbol = userDefined.get(bytes[at])?.find((s) => s.every((byte, i) => bytes[at + i] === byte));
    if (symbol) return [toText.decode(symbol), symbol.length];
    const found = rule(bytes, at);
    if (found) return found;
    const length = characterLength(bytes[at]);
    return [toText.decode(bytes.subarray(at, at + length)), length];
  }

  /** The text as it is cut into pieces: normalised, `▁` for spaces. @param {string} text */
  function normalize(text) {
    const bytes = toBytes.encode(text);
    let at = 0, out = "";
    while (spec.squeeze && at < bytes.length) {
      const [character, length] = replaced(bytes, at);
      if (character !== " ") break;
      at += length;
    }
    if (at >= bytes.length) return "";
    const space = spec.escape ? SPACE : " ";
    if (spec.prefix) out += space;
    let afterSpace = spec.squeeze;
    while (at < bytes.length) {
      let [characters, length] = replaced(bytes, at);
      at += length;
      if (afterSpace) characters = characters.replace(/^ +/, "");
      if (characters) {
        out += spec.escape ? characters.replaceAll(" ", SPACE) : characters;
        afterSpace = characters.endsWith(" ");
      }
      if (!spec.squeeze) afterSpace = false;
    }
    while (spec.squeeze && out.endsWith(space)) out = out.slice(0, -space.length);
    return out;
  }

  /**
   * The best way to cut a normalised text. `best[i]` is the highest sum of scores of the first i characters; float32
   * sums, compared in float64, as the library does: equal sums then part at the same place.
   * @param {string} normalized @returns {[string, number][]} [surface, id]
   */
  function cut(normalized) {
    const characters = [...normalized], count = characters.length;
    const best = new Float32Array(count + 1), from = new Int32Array(count + 1).fill(-1), ids = new Int32Array(count + 1);
    const offer = (/** @type {number} */ end, /** @type {number} */ sum, /** @type {number} */ start, /** @type {number} */ id) => {
      if (from[end] >= 0 && sum <= best[end]) return;
      best[end] = sum;
      from[end] = start;
      ids[end] = id;
    };
    for (let start = 0; start < count; start++) {
      let alone = false, piece = "";
      for (let end = start + 1; end <= count; end++) {
        piece += characters[end - 1];
        const id = beginnings.get(piece);
        if (id === undefined) break;
        if (id < 0) continue;
        // A user-defined symbol is worth more than any way to cut it.
        const score = types[id] === NORMAL ? scores[id] : Math.fround(toBytes.encode(piece).length * most) - 0.1;
        offer(end, score + best[start], start, id);
        if (end === start + 1) alone = true;
      }
      if (!alone) offer(start + 1, Math.fround(unknownScore + best[start]), start, unknown);
    }
    /** @type {[string, number][]} */
    const out = [];
    for (let end = count; end > 0; end = from[end]) {
      const surface = characters.slice(from[end], end).join(""), next = out.at(-1);
      // Unknown characters side by side are one piece.
      if (ids[end] === unknown && next && next[1] === unknown) next[0] = surface + next[0];
      else out.push([surface, ids[end]]);
    }
    out.reverse();
    if (!bytePieces) return out;
    return out.flatMap(([surface, id]) =>
      id === unknown
        ? [...toBytes.encode(surface)].map((byte) => /** @type {[string, number]} */ ([pieces[bytePieces[byte]], bytePieces[byte]]))
        : [/** @type {[string, number]} */ ([surface, id])],
    );
  }

  /** Texts of tokens one after another, as far as they are whole. */
  function decoder() {
    let start = true;
    /** @type {number[]} */
    let bytes = [];
    const flush = () => {
      const text = toText.decode(new Uint8Array(bytes));
      bytes = [];
      return text;
    };
    return {
      /** The text that became whole with this token. @param {number} id */
      push(id) {
        if (special.all.has(id) || id >= pieces.length || types[id] === CONTROL) return "";
        const byte = byteOf.get(id);
        if (byte !== undefined) {
          start = false;
          bytes.push(byte);
          return bytes.length < characterLength(bytes[0]) ? "" : flush();
        }
        const before = bytes.length ? flush() : "";
        let piece = pieces[id];
        if (types[id] === UNKNOWN) piece = UNKNOWN_SURFACE;
        else if (start && (spec.prefix || spec.squeeze) && piece.startsWith(SPACE)) {
          piece = piece.slice(1);
          // Where spaces are squeezed, all that open a text are left out.
          if (spec.squeeze && !piece) return before;
        }
        start = false;
        return before + piece.replaceAll(SPACE, " ");
      },
      /** What is left over when no token follows: a character that stayed incomplete. */
      end: () => (bytes.length ? flush() : ""),
    };
  }

  return {
    vocab: pieces.length,
    special,
    decoder,
    /** A token's piece, `▁` included; rows without a piece mean nothing. @param {number} id */
    piece: (id) => pieces[id] ?? pieces[unknown],
    /** @param {string} text @returns {Tokens} @throws {LoneSurrogate} */
    tokenize(text) {
      const half = [...text].findIndex((character) => /^[\ud800-\udfff]$/.test(character));
      if (half >= 0) throw new LoneSurrogate(half + 1);
      const normalized = normalize(special.lower ? text.toLowerCase() : text);
      const found = cut(normalized).map(([surface, id]) => ({ surface, piece: pieces[id], id, unknown: id === unknown }));
      return {
        ids: found.map(({ id }) => id),
        pieces: found,
        normalized: normalized.replaceAll(SPACE, " ").replace(/^ +| +$/g, ""),
        unknown: found.filter((piece) => piece.unknown).length,
      };
    },
    /** The text of ids, special tokens left out. @param {Iterable<number>} ids */
    decode(ids) {
      const tokens = decoder();
      let out = "";
      for (const id of ids) out += tokens.push(id);
      return out + tokens.end();
    },
  };
}
/** @typedef {ReturnType<typeof readTokenizer>} Tokenizer */
