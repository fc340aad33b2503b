/**
 * Where the numbers lie, and the one sum that takes the time: in plain JavaScript, or the same in WebAssembly.
 *
 * @typedef {object} Maths
 * @property {"javascript" | "wasm"} kind
 * @property {(length: number) => Float32Array<any>} array zeros; what `linear` gets must come from here
 * @property {(y: Float32Array, x: Float32Array, w: Float32Array, b: Float32Array | null, rows: number, outs: number, ins: number) => void} linear
 *   y[row] = W x[row] + b for each row; W is (outs, ins), x (rows, ins), y (rows, outs)
 */

/** Plain JavaScript: for reading, and where there is no WebAssembly with SIMD. @returns {Maths} */
export function plainMaths() {
  return {
    kind: "javascript",
    array: (length) => new Float32Array(length),
    linear(y, x, w, b, rows, outs, ins) {
      for (let out = 0; out < outs; out++) {
        for (let row = 0; row < rows; row++) {
          // Several sums side by side: a processor adds them at the same time.
          let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
          for (let i = 0, at = out * ins, from = row * ins; i < ins; i += 4, at += 4, from += 4) {
            s0 += w[at] * x[from];
            s1 += w[at + 1] * x[from + 1];
            s2 += w[at + 2] * x[from + 2];
            s3 += w[at + 3] * x[from + 3];
          }
          y[row * outs + out] = s0 + s1 + (s2 + s3) + (b ? b[out] : 0);
        }
      }
    },
  };
}

/**
 * `linear.ts`, compiled. It reads and writes one memory, in which all its arrays lie.
 *
 * @param {BufferSource} code the compiled module
 * @param {number} floats how many numbers the arrays will hold, all together
 * @returns {Promise<Maths>}
 */
export async function wasmMaths(code, floats) {
  // The first bytes stay free: place 0 means "none".
  let next = 16;
  // Each array begins at a multiple of 16 bytes; a few hundred arrays waste less than a page of 64 KiB.
  const memory = new WebAssembly.Memory({ initial: Math.ceil((floats * 4) / 65536) + 1 });
  const { instance } = await WebAssembly.instantiate(code, { env: { memory } });
  const linear = /** @type {(...places: number[]) => void} */ (instance.exports.linear);
  return {
    kind: "wasm",
    array(length) {
      const array = new Float32Array(memory.buffer, next, length);
      next += Math.ceil(length / 4) * 16;
      return array;
    },
    linear(y, x, w, b, rows, outs, ins) {
      linear(y.byteOffset, x.byteOffset, w.byteOffset, b ? b.byteOffset : 0, rows, outs, ins);
    },
  };
}
