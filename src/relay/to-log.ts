/**
 * The log as the relay writes it: Kafka or Redis Streams.
 *
 * One `send` at a time: the caller awaits it before the next. What the promise means:
 *
 *     send called      nothing is known
 *     resolved         every record is durable, each partition holds its records in the order given, after all earlier ones
 *     rejected         any part may have landed, now or later. The writer is dead: close it, open another, and send again
 *                      everything from the confirmed LSN. Repetition is harmless; agents compare intervals
 *
 * A crash of this process between `send` and its answer is the same as a rejection.
 */
export interface LogWriter {
  /** Fixed for a bus's life. */
  readonly partitions: number;
  /** The text of each partition's last record, or null where it is empty. Asked once, at start, for the highest source epoch. */
  lastRecords(signal: AbortSignal): Promise<readonly (string | null)[]>;
  send(records: readonly OutgoingRecord[]): Promise<void>;
  close(): Promise<void>;
}

export interface OutgoingRecord {
  readonly partition: number;
  readonly value: string;
}

/** Records in one send, at most. */
export const SEND_RECORDS_MAX = 1000;

/**
 * Bytes to one partition in one send, at most, with room to spare: a broker takes what goes to a partition at once for one message, and
 * by default refuses more than a mebibyte (`max.message.bytes`).
 */
export const PARTITION_BYTES_MAX = 512 * 1024;
