// The one sum that takes the time, in WebAssembly: AssemblyScript, compiled by `asc` when the site is built.
// A v128 holds four float32, so four products are made at once; `<usize>` numbers are places in memory, in bytes.

/** Adds up the four lanes of each of four vectors: one vector of four sums. */
// @ts-ignore: decorator
@inline
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 2, 4, 6), v128.shuffle<f32>(c, d, 1, 3, 5, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/**
 * y[row] = W x[row] + b for `rows` rows. W is (outs, ins), b (outs) or at 0 for none; `outs` and `ins` are multiples of 4.
 * Four lines of W are taken at a time and used for all rows, so that each is fetched from far memory once.
 */
export function linear(y: usize, x: usize, w: usize, b: usize, rows: i32, outs: i32, ins: i32): void {
  const line: usize = (<usize>ins) << 2;
  for (let out = 0; out < outs; out += 4) {
    const w0 = w + <usize>out * line, w1 = w0 + line, w2 = w1 + line, w3 = w2 + line;
    const bias = b ? v128.load(b + ((<usize>out) << 2)) : f32x4.splat(0);
    for (let row = 0; row < rows; row++) {
      const from = x + <usize>row * line;
      let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
      for (let i: usize = 0; i < line; i += 16) {
        const value = v128.load(from + i);
        s0 = f32x4.add(s0, f32x4.mul(value, v128.load(w0 + i)));
        s1 = f32x4.add(s1, f32x4.mul(value, v128.load(w1 + i)));
        s2 = f32x4.add(s2, f32x4.mul(value, v128.load(w2 + i)));
        s3 = f32x4.add(s3, f32x4.mul(value, v128.load(w3 + i)));
      }
      v128.store(y + ((<usize>(row * outs + out)) << 2), f32x4.add(sums(s0, s1, s2, s3), bias));
    }
  }
}
