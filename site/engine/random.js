/**
 * torch's random numbers on a CPU: the Mersenne Twister, and what `exponential_` and `multinomial` make of it.
 * A seed so draws the same tokens as in the notebook.
 */

/** The Mersenne Twister (MT19937), seeded as `torch.manual_seed` does. */
export class Twister {
  #state = new Uint32Array(624);
  #used = 624;

  /** @param {number} seed an integer from 0; its low 32 bits count */
  constructor(seed) {
    const state = this.#state;
    state[0] = Number(BigInt(seed) & 0xffffffffn);
    for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  }

  #renew() {
    const state = this.#state;
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#used = 0;
  }

  /** An integer of 32 bits. */
  integer() {
    if (this.#used === 624) this.#renew();
    let y = this.#state[this.#used++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Leaves numbers out, as if they had been drawn. @param {number} count */
  skip(count) {
    for (let left = count; left > 0; ) {
      if (this.#used === 624) this.#renew();
      const step = Math.min(left, 624 - this.#used);
      this.#used += step;
      left -= step;
    }
  }

  /** From 0 up to 1, with 53 random bits: two integers. */
  uniform() {
    const high = this.integer() & 0x1fffff;
    return (high * 4294967296 + this.integer()) / 9007199254740992;
  }
}

/**
 * `torch.multinomial(p, 1)`: each token waits for an exponential time, the more probable a token the shorter, and the
 * first wins. Uses up the numbers of all tokens, also of those that cannot be drawn.
 * @param {Float32Array} probabilities float32, in order of ids @param {Twister} random
 */
export function drawOne(probabilities, random) {
  let best = -1, drawn = 0, idle = 0;
  for (let id = 0; id < probabilities.length; id++) {
    if (probabilities[id] === 0) {
      idle += 2; // what its exponential would have used
      continue;
    }
    random.skip(idle);
    idle = 0;
    const quotient = Math.fround(probabilities[id] / Math.fround(-Math.log1p(-random.uniform())));
    if (quotient > best) {
      best = quotient;
      drawn = id;
    }
  }
  random.skip(idle);
  return drawn;
}

/**
 * `torch.multinomial(p, times, replacement=True)`: each draw looks up a random number among the probabilities added up.
 * A single draw is made as `drawOne` makes it.
 * @param {Float32Array} probabilities float32, in order of ids @param {number} times @param {Twister} random
 * @returns {number[]}
 */
export function drawMany(probabilities, times, random) {
  if (times === 1) return [drawOne(probabilities, random)];
  const count = probabilities.length, upTo = new Float32Array(count);
  let sum = 0;
  for (let id = 0; id < count; id++) upTo[id] = sum = Math.fround(sum + probabilities[id]);
  for (let id = 0; id < count; id++) upTo[id] /= sum;
  upTo[count - 1] = 1;
  return Array.from({ length: times }, () => {
    const chance = random.uniform();
    let low = 0, high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (upTo[middle] < chance) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}
