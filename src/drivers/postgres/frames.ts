import { BusError } from '../../protocol/errors.ts';

/** A type byte and a length that counts itself but not the type. */
const HEADER_BYTES = 5;
/** Postgres allocates no more than 1 GiB at once, so no message is longer. */
const FRAME_BYTES_MAX = 0x4000_0000;
/** What is kept for the next split message; a larger one is given back. */
const KEPT_BYTES_MAX = 1024 * 1024;

/** Takes one message of the server: its type and where its body stands. The bytes are good during the call only. */
export type TakeFrame = (type: number, bytes: Buffer, start: number, end: number) => void;

/**
 * Cuts the server's bytes into messages without copying them, but for the one that is split between two blocks. A view, an object
 * and two events for each message, as pg makes them, cost more than decoding the message.
 */
export class Frames {
  #split = Buffer.allocUnsafe(64 * 1024);
  #splitBytes = 0;

  push(block: Buffer, take: TakeFrame): void {
    let at = this.#splitBytes === 0 ? 0 : this.#completeSplit(block, take);
    while (block.length - at >= HEADER_BYTES) {
      const end = at + frameBytes(block, at);
      if (end > block.length) break;
      take(block[at] ?? 0, block, at + HEADER_BYTES, end);
      at = end;
    }
    this.#keep(block, at, block.length);
  }

  /** Adds to the split message what it lacks, and returns where the rest of the block begins. */
  #completeSplit(block: Buffer, take: TakeFrame): number {
    let at = 0;
    if (this.#splitBytes < HEADER_BYTES) {
      at = Math.min(block.length, HEADER_BYTES - this.#splitBytes);
      this.#keep(block, 0, at);
      if (this.#splitBytes < HEADER_BYTES) return at;
    }
    const total = frameBytes(this.#split, 0);
    const end = at + Math.min(block.length - at, total - this.#splitBytes);
    this.#keep(block, at, end);
    if (this.#splitBytes < total) return end;
    const whole = this.#split;
    this.#splitBytes = 0;
    if (whole.length > KEPT_BYTES_MAX) this.#split = Buffer.allocUnsafe(64 * 1024);
    take(whole[0] ?? 0, whole, HEADER_BYTES, total);
    return end;
  }

  #keep(block: Buffer, from: number, to: number): void {
    const needed = this.#splitBytes + to - from;
    if (needed > this.#split.length) {
      // Doubled, not made as long as the header says: what a header says costs memory only once it has come.
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#split.length * 2));
      this.#split.copy(larger, 0, 0, this.#splitBytes);
      this.#split = larger;
    }
    block.copy(this.#split, this.#splitBytes, from, to);
    this.#splitBytes = needed;
  }
}

function frameBytes(bytes: Buffer, at: number): number {
  const length = bytes.readInt32BE(at + 1);
  if (length < 4 || length > FRAME_BYTES_MAX) {
    throw new BusError('PGOUTPUT_MALFORMED', `The server announces a message of ${length} bytes.`);
  }
  return 1 + length;
}
