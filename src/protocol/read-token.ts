import { BusError } from './errors.ts';
import { type Lsn, lsnFromHex, lsnToHex } from './lsn.ts';

/**
 * What a reader demands after its own write: everything committed below `lsn` on `timeline`. As text `<timeline>:<lsn>`, 8 and 16 hex digits, so
 * that it can travel in a cookie or a header.
 */
export interface ReadToken {
  readonly timeline: number;
  readonly lsn: Lsn;
}

const TOKEN = /^[0-9a-f]{8}:[0-9a-f]{16}$/;

export function printReadToken(token: ReadToken): string {
  return `${token.timeline.toString(16).padStart(8, '0')}:${lsnToHex(token.lsn)}`;
}

/** Reads a token that a caller brought. Throws `READ_TOKEN_INVALID`. */
export function parseReadToken(text: string): ReadToken {
  if (typeof text !== 'string' || !TOKEN.test(text))
    throw new BusError(
      'READ_TOKEN_INVALID',
      'A read token is 8 and 16 hex digits with a colon between, as afterWrite returned it.',
    );
  return { timeline: Number.parseInt(text.slice(0, 8), 16), lsn: lsnFromHex(text.slice(9)) };
}

/**
 * Whether what stands at a watermark has seen what the token demands. A token of another timeline is never reached: its LSN was counted
 * on a history that this one has left.
 */
export function isReached(token: ReadToken, at: { readonly timeline: number; readonly lsn: Lsn }): boolean {
  return token.timeline === at.timeline && at.lsn >= token.lsn;
}
