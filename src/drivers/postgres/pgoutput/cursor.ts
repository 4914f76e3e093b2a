import { BusError } from '../../../protocol/errors.ts';
import type { Lsn } from '../../../protocol/lsn.ts';

/** Postgres counts microseconds from 2000-01-01, Unix from 1970-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/** Reads one message from front to back, and says what it missed and where. It is reused from message to message. */
export class Cursor {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  end = 0;
  #start = 0;
  readonly #eight = new DataView(new ArrayBuffer(8));

  open(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.#start = start;
  }

  /** The error for a message that does not go on with `expected`. Offsets count from the message's first byte; no content is shown. */
  malformed(expected: string, at = this.at): BusError {
    const tag = this.end > this.#start ? (this.bytes[this.#start] ?? 0) : 0;
    const printed =
      tag > 0x20 && tag < 0x7f ? `'${String.fromCharCode(tag)}'` : `0x${tag.toString(16).padStart(2, '0')}`;
    const where = `byte ${at - this.#start} of ${this.end - this.#start}`;
    return new BusError('PGOUTPUT_MALFORMED', `In a message ${printed}, at ${where}: expected ${expected}.`);
  }

  /** Moves on by `bytes` and returns where they begin. */
  take(bytes: number, what: string): number {
    const from = this.at;
    if (bytes > this.end - from) throw this.malformed(what);
    this.at = from + bytes;
    return from;
  }

  uint8(what: string): number {
    return this.bytes[this.take(1, what)] ?? 0;
  }

  uint16(what: string): number {
    const from = this.take(2, what);
    return ((this.bytes[from] ?? 0) << 8) | (this.bytes[from + 1] ?? 0);
  }

  int32(what: string): number {
    const from = this.take(4, what);
    return this.bytes.readInt32BE(from);
  }

  uint32(what: string): number {
    return this.int32(what) >>> 0;
  }

  lsn(what: string): Lsn {
    const from = this.take(8, what);
    // Through a view kept for it: readBigUInt64BE adds up two bigints, which shows at a hundred thousand small transactions a second.
    for (let i = 0; i < 8; i += 1) this.#eight.setUint8(i, this.bytes[from + i] ?? 0);
    return this.#eight.getBigUint64(0) as Lsn;
  }

  /** A Postgres timestamp as Unix time in milliseconds, exact to the microsecond until the year 2255. */
  timestampMs(what: string): number {
    const high = this.int32(what);
    const low = this.uint32(what);
    return POSTGRES_EPOCH_MS + (high * 0x1_0000_0000 + low) / 1000;
  }

  /** A text that ends with a zero byte. */
  text(what: string): string {
    const from = this.at;
    const zero = this.bytes.indexOf(0, from);
    if (zero === -1 || zero >= this.end) throw this.malformed(`${what} that ends with a zero byte`);
    this.at = zero + 1;
    return this.bytes.toString('utf8', from, zero);
  }

  finish(): void {
    if (this.at !== this.end) throw this.malformed('the end of the message');
  }
}
