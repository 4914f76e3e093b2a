import { decode, encode } from '@msgpack/msgpack';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Family } from '../config/bus-config.ts';
import { fromByteText, toByteText } from '../protocol/byte-text.ts';
import { BusError } from '../protocol/errors.ts';

/**
 * The first byte of a payload says what it is, so that a family may change its mind while old values stand. No JSON text begins so.
 *
 *     01 <MessagePack>       02 <a payload, deflated>       else JSON, as UTF-8
 */
const MSGPACK = '\u0001';
const DEFLATED = '\u0002';

/** What is undefined in an object is left out. */
const AS_JSON = { ignoreUndefined: true };

type CodecOf = Pick<Family, 'name' | 'codec'>;

/**
 * What is stored for a loaded value, but for compression; null for an absence. Throws `CACHE_VALUE_INVALID`.
 *
 * Every caller gets his value from this, the one who loaded too: so a value is the same whether it was in the cache or not (in JSON a Date is a
 * text), and nobody changes another's.
 */
export function encodePayload(value: unknown, { name, codec }: CodecOf): string | null {
  if (value === null) return null;
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol')
    throw invalid(name, `${typeof value}, where a value or null is expected`);
  // Both make nothing of these without a word.
  if (value instanceof Map || value instanceof Set)
    throw invalid(name, `a ${value.constructor.name}, which no codec here can hold`);
  try {
    if (codec === 'msgpack') return MSGPACK + readable(encode(value, AS_JSON)).toString('latin1');
  } catch (cause) {
    throw invalid(name, `what MessagePack cannot hold: ${(cause as Error).message}`, cause);
  }
  return toByteText(jsonOf(value, name));
}

/** What would be refused when it is read back is refused now: a value that nobody can read from the cache is loaded for each reader. */
function readable(encoded: Uint8Array): Buffer {
  const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  // The one key that the decoder takes from nobody, since it would be the object's prototype.
  if (bytes.includes('__proto__')) decode(bytes);
  return bytes;
}

function jsonOf(value: unknown, family: string): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw invalid(family, `what JSON cannot hold: ${(cause as Error).message}`, cause);
  }
  if (text === undefined) throw invalid(family, `${typeof value}, where a value or null is expected`);
  // Null would come back as an absence.
  if (text === 'null') throw invalid(family, typeof value === 'number' ? String(value) : 'what JSON takes for null');
  return text;
}

/** As it is stored: compressed from a size on, where that makes it smaller. 0 is never. */
export function packPayload(payload: string, compressBytes: number): string {
  if (compressBytes === 0 || payload.length < compressBytes) return payload;
  const deflated = deflateRawSync(Buffer.from(payload, 'latin1'), { level: COMPRESSION_LEVEL });
  return deflated.length + 1 < payload.length ? DEFLATED + deflated.toString('latin1') : payload;
}

/** The fastest: see docs/strategies/codecs.md for what a higher one brings. */
const COMPRESSION_LEVEL = 1;

/** Undoes `packPayload`. What cannot be undone stays as it is: decoding tells. */
export function unpackPayload(payload: string | null): string | null {
  if (payload === null || !payload.startsWith(DEFLATED)) return payload;
  try {
    return inflateRawSync(Buffer.from(payload.slice(1), 'latin1')).toString('latin1');
  } catch {
    return payload;
  }
}

function invalid(family: string, what: string, cause?: unknown): BusError {
  return new BusError('CACHE_VALUE_INVALID', `The loader of family ${family} returned ${what}.`, { cause });
}

/** A payload’s own bytes, where they are JSON: undefined of any other, of an absence and of none. */
export function jsonOfPayload(payload: string | null | undefined): Uint8Array | undefined {
  if (payload == null || payload.startsWith(MSGPACK) || payload.startsWith(DEFLATED)) return undefined;
  return Buffer.from(payload, 'latin1');
}

/** The value of a payload, null for an absence, or undefined where it is none of ours. */
export function decodePayload(payload: string | null): unknown {
  const plain = unpackPayload(payload);
  if (plain === null) return null;
  try {
    if (plain.startsWith(MSGPACK)) return decode(new Uint8Array(Buffer.from(plain.slice(1), 'latin1')));
    return JSON.parse(fromByteText(plain)) as unknown;
  } catch {
    return undefined;
  }
}
