/**
 * Whether a reader refreshes a value before its time is over: XFetch (Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
 * Prevention", VLDB 2015), `now - delta * beta * ln(u) >= end`. `delta` is how long the value's own load took, so what is dear to load is begun
 * sooner; the more readers there are, the sooner one of them draws it. Without a `delta` there is nothing to go by.
 *
 * `leftMs` is what is left of the time to live. `chance` is a number in [0, 1); u is what it lacks to 1, since 0 has no logarithm.
 */
export function isDueEarly(
  { leftMs, loadMs, beta }: { readonly leftMs: number; readonly loadMs: number | undefined; readonly beta: number },
  chance: number,
): boolean {
  if (beta === 0 || loadMs === undefined) return false;
  return -loadMs * beta * Math.log(1 - chance) >= leftMs;
}
