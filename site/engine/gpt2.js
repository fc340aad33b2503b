/**
 * GPT-2: token ids in, one score for each token of the vocabulary out. Read it from `forward`, at the end.
 *
 * @typedef {import("./math.js").Maths} Maths
 * @typedef {import("./safetensors.js").Tensor} Tensor
 * @typedef {{ n_layer: number, n_head: number, n_embd: number, n_positions: number, vocab_size: number,
 *   n_inner?: number | null, layer_norm_epsilon: number, activation_function: string }} Config of config.json
 * @typedef {{ weight: Float32Array, bias: Float32Array }} Norm
 * @typedef {{ weight: Float32Array, bias: Float32Array, outs: number, ins: number }} Linear
 * @typedef {{ norm1: Norm, qkv: Linear, attended: Linear, norm2: Norm, wider: Linear, narrower: Linear }} Layer
 * @typedef {{ length: number, keys: Float32Array[], values: Float32Array[] }} Cache what one text has left behind in each
 *   layer: `length` tokens, (positions, width) each
 * @typedef {{ cache: Cache, id: number }} Row one token to be read at the end of one text
 * @typedef {object} Watch what a picture of the way asks for, for each row of one `forward`
 * @property {(row: number, vector: Float32Array) => void} embedding
 * @property {(layer: number, row: number, vector: Float32Array) => void} state after a layer
 * @property {(layer: number, row: number, head: number, weights: Float64Array) => void} attention one weight a token
 */

/** So many rows are computed at a time: longer prompts come in parts. */
export const ROWS = 32;

/** How many numbers a model needs, with room for `ROWS` rows. @param {Config} config */
export function floatsOf(config) {
  const { n_layer: layers, n_embd: d, n_positions, vocab_size } = config, inner = config.n_inner ?? 4 * d;
  const ends = (vocab_size + 4 + n_positions + 2) * d;
  return layers * (4 * d * d + 2 * d * inner + 9 * d + inner) + ends + ROWS * (6 * d + inner + vocab_size + 4) + 1024;
}

/** The model of a file of weights. @param {Map<string, Tensor>} tensors @param {Config} config @param {Maths} maths */
export function buildModel(tensors, config, maths) {
  const d = config.n_embd, inner = config.n_inner ?? 4 * d;
  if (!["gelu_new", "gelu_pytorch_tanh"].includes(config.activation_function) || d % 4 || inner % 4)
    throw new RangeError("this GPT-2 has another activation, or a width that 4 does not divide");
  const find = (/** @type {string} */ name) => {
    const tensor = tensors.get(`transformer.${name}`) ?? tensors.get(name);
    if (!tensor) throw new RangeError(`the weights have no ${name}`);
    return tensor;
  };
  const vector = (/** @type {string} */ name, rows = 0) => {
    const { shape, at } = find(name), length = shape.reduce((a, b) => a * b);
    const numbers = maths.array(Math.max(length, rows * d));
    for (let i = 0; i < length; i++) numbers[i] = at(i);
    return numbers;
  };
  // GPT-2's file has (ins, outs). Turned round, the numbers for one output lie side by side.
  const linear = (/** @type {string} */ name) => {
    const { shape, at } = find(`${name}.weight`), [ins, outs] = shape, weight = maths.array(ins * outs);
    for (let i = 0; i < ins; i++) for (let o = 0; o < outs; o++) weight[o * ins + i] = at(i * outs + o);
    return { weight, bias: vector(`${name}.bias`), outs, ins };
  };
  const norm = (/** @type {string} */ name) => ({ weight: vector(`${name}.weight`), bias: vector(`${name}.bias`) });
  /** @type {Layer[]} */
  const layers = Array.from({ length: config.n_layer }, (_, l) => ({
    norm1: norm(`h.${l}.ln_1`), qkv: linear(`h.${l}.attn.c_attn`), attended: linear(`h.${l}.attn.c_proj`),
    norm2: norm(`h.${l}.ln_2`), wider: linear(`h.${l}.mlp.c_fc`), narrower: linear(`h.${l}.mlp.c_proj`),
  }));
  // `linear` makes four outputs at a time: a few empty rows round the vocabulary up.
  const outs = Math.ceil(config.vocab_size / 4) * 4;
  const room = (/** @type {number} */ width) => maths.array(ROWS * width);
  return {
    config, maths, layers, outs,
    words: vector("wte.weight", outs), places: vector("wpe.weight"), lastNorm: norm("ln_f"),
    room: { state: room(d), normed: room(d), added: room(d), qkv: room(3 * d), wide: room(inner), scores: room(outs) },
  };
}
/** @typedef {ReturnType<typeof buildModel>} Model */

/**
 * An empty text, or a copy of one that goes on by itself.
 * @param {Model} model @param {number} room for so many tokens @param {Cache} [from] @returns {Cache}
 */
export function newCache({ config }, room, from) {
  const copy = (/** @type {Float32Array[] | undefined} */ arrays) =>
    Array.from({ length: config.n_layer }, (_, layer) => {
      const out = new Float32Array(room * config.n_embd);
      if (arrays && from) out.set(arrays[layer].subarray(0, from.length * config.n_embd));
      return out;
    });
  return { length: from?.length ?? 0, keys: copy(from?.keys), values: copy(from?.values) };
}

/**
 * Each row with mean 0 and spread 1, then stretched and moved.
 * @param {Float32Array} y @param {Float32Array} x @param {Norm} norm @param {number} rows @param {number} epsilon
 */
function normalize(y, x, { weight, bias }, rows, epsilon) {
  const d = weight.length;
  for (let from = 0; from < rows * d; from += d) {
    let mean = 0, square = 0;
    for (let i = 0; i < d; i++) mean += x[from + i];
    mean /= d;
    for (let i = 0; i < d; i++) square += (x[from + i] - mean) * (x[from + i] - mean);
    const scale = 1 / Math.sqrt(square / d + epsilon);
    for (let i = 0; i < d; i++) y[from + i] = (x[from + i] - mean) * scale * weight[i] + bias[i];
  }
}

/** The smooth step between "off" and "as it is". @param {Float32Array} x @param {number} length */
function gelu(x, length) {
  const root = Math.sqrt(2 / Math.PI);
  for (let i = 0; i < length; i++) x[i] *= 0.5 * (1 + Math.tanh(root * (x[i] + 0.044715 * x[i] * x[i] * x[i])));
}

/**
 * One head looks back: how well its query fits the key of each token so far gives weights that sum to 1, and their
 * values are mixed by these. The head's part of a vector begins at `part`.
 * @param {Float32Array} mixed @param {Float32Array} query @param {Float32Array} keys @param {Float32Array} values
 * @param {Float64Array} weights one for each token so far @param {number} part @param {number} size @param {number} d
 */
function attend(mixed, query, keys, values, weights, part, size, d) {
  let largest = -Infinity, sum = 0;
  for (let j = 0; j < weights.length; j++) {
    let fit = 0;
    for (let i = part, k = j * d + part; i < part + size; i++, k++) fit += query[i] * keys[k];
    weights[j] = fit / Math.sqrt(size);
    if (weights[j] > largest) largest = weights[j];
  }
  for (let j = 0; j < weights.length; j++) sum += weights[j] = Math.exp(weights[j] - largest);
  for (let i = part; i < part + size; i++) mixed[i] = 0;
  for (let j = 0; j < weights.length; j++) {
    weights[j] /= sum;
    for (let i = part, v = j * d + part; i < part + size; i++, v++) mixed[i] += weights[j] * values[v];
  }
}

/**
 * Reads one more token for each row (at most `ROWS`), of one text or of several; tokens of one text come in their order.
 * @param {Model} model @param {Row[]} rows @param {Watch} [watch]
 * @returns {Float32Array} (rows, width), what `scores` makes scores of; the next call writes over it
 */
export function forward(model, rows, watch) {
  const { config, room, maths } = model, d = config.n_embd, size = d / config.n_head, count = rows.length;
  const { state, normed, added, qkv, wide } = room, epsilon = config.layer_norm_epsilon;
  const apply = (/** @type {Float32Array} */ y, /** @type {Float32Array} */ x, /** @type {Linear} */ l) =>
    maths.linear(y, x, l.weight, l.bias, count, l.outs, l.ins);
  const add = () => { for (let i = 0; i < count * d; i++) state[i] += added[i]; };
  const vector = (/** @type {number} */ row) => state.subarray(row * d, (row + 1) * d);
  const places = rows.map(({ cache }) => cache.length++);
  // In double precision: a fit may be well above 100, and what softmax makes of it changes by as much as it is rounded.
  const weights = new Float64Array(config.n_positions);

  rows.forEach(({ id }, r) => {
    for (let i = 0; i < d; i++) state[r * d + i] = model.words[id * d + i] + model.places[places[r] * d + i];
    watch?.embedding(r, vector(r));
  });
  model.layers.forEach((layer, l) => {
    normalize(normed, state, layer.norm1, count, epsilon);
    apply(qkv, normed, layer.qkv);
    rows.forEach(({ cache }, r) => {
      cache.keys[l].set(qkv.subarray((3 * r + 1) * d, (3 * r + 2) * d), places[r] * d);
      cache.values[l].set(qkv.subarray((3 * r + 2) * d, (3 * r + 3) * d), places[r] * d);
      const mixed = normed.subarray(r * d, (r + 1) * d), query = qkv.subarray(3 * r * d, (3 * r + 1) * d);
      const soFar = weights.subarray(0, places[r] + 1);
      for (let head = 0; head < config.n_head; head++) {
        attend(mixed, query, cache.keys[l], cache.values[l], soFar, head * size, size, d);
        watch?.attention(l, r, head, soFar);
      }
    });
    apply(added, normed, layer.attended);
    add();
    normalize(normed, state, layer.norm2, count, epsilon);
    apply(wide, normed, layer.wider);
    gelu(wide, count * layer.wider.outs);
    apply(added, wide, layer.narrower);
    add();
    if (watch) rows.forEach((_, r) => { watch.state(l, r, vector(r)); });
  });
  normalize(normed, state, model.lastNorm, count, epsilon);
  return normed.subarray(0, count * d);
}

/**
 * The score of each token of the vocabulary (logits): how well its own vector fits. Row by row of what `forward` returned.
 * @param {Model} model @param {Float32Array} vectors (rows, width) @returns {Float32Array[]} one of (vocabulary) for each row
 */
export function scores(model, vectors) {
  const { config, room, words, outs } = model, d = config.n_embd, count = vectors.length / d;
  model.maths.linear(room.scores, vectors, words, null, count, outs, d);
  return Array.from({ length: count }, (_, r) => room.scores.slice(r * outs, r * outs + config.vocab_size));
}

/**
 * Reads a whole text, in parts of `ROWS` tokens. @param {Model} model @param {Cache} cache @param {number[]} ids at least one
 * @param {(from: number) => Watch} [watchFrom] what watches the part that begins there
 * @returns {Float32Array} the scores after its last token
 */
export function read(model, cache, ids, watchFrom) {
  /** @type {Float32Array} */
  let vectors = new Float32Array(0);
  for (let from = 0; from < ids.length; from += ROWS)
    vectors = forward(model, ids.slice(from, from + ROWS).map((id) => ({ cache, id })), watchFrom?.(from));
  return scores(model, vectors.subarray(vectors.length - model.config.n_embd))[0];
}
