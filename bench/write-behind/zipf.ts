/** Numbers from 0 to below `keys`, the first the most likely: the k-th with a weight of 1/k (Zipf, exponent 1). The same seed gives the same. */
export function zipfDraws(count: number, keys: number, seed: number): Int32Array {
  const sums = new Float64Array(keys);
  let sum = 0;
  for (let k = 0; k < keys; k++) {
    sum += 1 / (k + 1);
    sums[k] = sum;
  }
  let state = seed >>> 0;
  return Int32Array.from({ length: count }, () => {
    // xorshift32 (Marsaglia, 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return firstAbove(sums, ((state >>> 0) / 2 ** 32) * sum);
  });
}

function firstAbove(sums: Float64Array, wanted: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] ?? 0) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
