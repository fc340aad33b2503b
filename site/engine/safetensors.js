/**
 * The file of the weights: 8 bytes that say how long the header is, a header in JSON, and then the numbers.
 *
 * @typedef {{ dtype: string, shape: number[], data_offsets: [number, number] }} Entry
 * @typedef {{ shape: number[], at: (index: number) => number }} Tensor `at` reads one number of the flat tensor
 */

/** All values that 16 bits can hold: sign, 5 bits of exponent, 10 bits of fraction. @returns {Float32Array} */
function halves() {
  const values = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    let value = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
    if (exponent === 31) value = fraction ? Number.NaN : Number.POSITIVE_INFINITY;
    values[bits] = bits & 32768 ? -value : value;
  }
  return values;
}

/**
 * The tensors of a safetensors file in float16 or float32. Nothing is copied: numbers are read when they are asked for.
 *
 * @param {ArrayBuffer} file
 * @returns {Map<string, Tensor>}
 * @throws {RangeError} the file is cut off or something else
 */
export function readTensors(file) {
  if (file.byteLength < 8) throw new RangeError("the weights are cut off");
  const length = Number(new DataView(file).getBigUint64(0, true)), data = 8 + length;
  if (data > file.byteLength) throw new RangeError("the weights are cut off, or no safetensors file");
  /** @type {Record<string, Entry>} */
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  const half = halves(), tensors = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = entry.data_offsets;
    if (data + to > file.byteLength) throw new RangeError(`the weights are cut off at ${name}`);
    let at;
    if (entry.dtype === "F16" && (data + from) % 2 === 0) {
      const bits = new Uint16Array(file, data + from, (to - from) / 2);
      at = (/** @type {number} */ index) => half[bits[index]];
    } else if (entry.dtype === "F32") {
      const bytes = new DataView(file, data + from, to - from);
      at = (/** @type {number} */ index) => bytes.getFloat32(index * 4, true);
    } else throw new RangeError(`${name}: ${entry.dtype} is not read here`);
    tensors.set(name, { shape: entry.shape, at });
  }
  return tensors;
}
