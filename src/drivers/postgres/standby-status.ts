import type { Lsn } from '../../protocol/lsn.ts';

/** Microseconds of Unix time at 2000-01-01, from which Postgres counts. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;
const COPY_DATA = 0x64; // d
const STATUS = 0x72; // r
const STATUS_BYTES = 34;

export interface StandbyStatus {
  /** The end of what has been received. */
  readonly write: Lsn;
  /** The end of what Postgres may forget. */
  readonly flush: Lsn;
  readonly nowMs: number;
  /** Whether the server shall answer with a keepalive. */
  readonly replyRequested: boolean;
}

/** A "Standby status update" inside of its CopyData: "Streaming Replication Protocol" in Postgres's manual. */
export function standbyStatus({ write, flush, nowMs, replyRequested }: StandbyStatus): Buffer {
  const bytes = Buffer.allocUnsafe(1 + 4 + STATUS_BYTES);
  bytes.writeUInt8(COPY_DATA, 0);
  bytes.writeUInt32BE(4 + STATUS_BYTES, 1);
  bytes.writeUInt8(STATUS, 5);
  bytes.writeBigUInt64BE(write, 6);
  bytes.writeBigUInt64BE(flush, 14);
  bytes.writeBigUInt64BE(flush, 22); // applied: for us the same
  bytes.writeBigInt64BE(BigInt(Math.round(nowMs)) * 1000n - POSTGRES_EPOCH_MICROS, 30);
  bytes.writeUInt8(replyRequested ? 1 : 0, 38);
  return bytes;
}
