import { BusError } from '../protocol/errors.ts';

/**
 * The text that is stored for a loaded value; null for an absence. Throws `CACHE_VALUE_INVALID`.
 *
 * Every caller gets his value from this text, the one who loaded too: so a value is the same whether it was in the cache or not (a Date is a
 * text), and nobody changes another's.
 */
export function encodePayload(value: unknown, family: string): string | null {
  if (value === null) return null;
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw invalid(family, `what JSON cannot hold: ${(cause as Error).message}`, cause);
  }
  if (text === undefined) throw invalid(family, `${typeof value}, where a value or null is expected`);
  // JSON makes nothing of these without a word, and null would come back as an absence.
  if (value instanceof Map || value instanceof Set)
    throw invalid(family, `a ${value.constructor.name}, which JSON cannot hold`);
  if (text === 'null') throw invalid(family, typeof value === 'number' ? String(value) : 'what JSON takes for null');
  return text;
}

function invalid(family: string, what: string, cause?: unknown): BusError {
  return new BusError('CACHE_VALUE_INVALID', `The loader of family ${family} returned ${what}.`, { cause });
}

/** The value of a payload, null for an absence, or undefined where it is none of ours. */
export function decodePayload(payload: string | null): unknown {
  if (payload === null) return null;
  try {
    return JSON.parse(payload) as unknown;
  } catch {
    return undefined;
  }
}
