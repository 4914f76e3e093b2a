/** `10%`, `2.5%`, or `0`. */
export const SHARE = /^(?:0|[0-9]{1,2}(?:\.[0-9]{1,2})?%)$/;

/** The share that a text which `SHARE` accepts stands for: `10%` is 0.1. */
export function shareOf(text: string): number {
  return Number(text.replace('%', '')) / 100;
}
