import type { Cursor } from './pgoutput/cursor.ts';

/** Types of the server's messages in a replication session: "Message Formats" in Postgres's manual. */
export const ServerMessage = {
  copyData: 0x64, // d
  copyBoth: 0x57, // W
  copyDone: 0x63, // c
  commandComplete: 0x43, // C
  error: 0x45, // E
  notice: 0x4e, // N
} as const;

/** First byte inside a CopyData of the server. */
export const CopyMessage = {
  xlogData: 0x77, // w
  keepalive: 0x6b, // k
} as const;

/** The tag, two LSNs and the server's clock, before the payload of an XLogData. */
export const XLOG_DATA_HEADER_BYTES = 25;

/** An error or notice of the server that came outside of pg's hands, with the field that pg's own errors have. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  /** The SQLSTATE. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export function readServerError(cursor: Cursor): ServerError {
  let code = '';
  let message = '';
  while (cursor.at < cursor.end) {
    const field = cursor.uint8('a field');
    if (field === 0) break;
    const value = cursor.text('the value of a field');
    if (field === 0x43) code = value; // C
    if (field === 0x4d) message = value; // M
  }
  return new ServerError(code, message);
}
