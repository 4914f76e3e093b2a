import type { Entry } from './cache-store.ts';

/**
 * Values in the process's own memory, in front of Redis.
 *
 * Promise: `get` gives nothing that was invalidated more than the tier's bound ago. What `put` brings was served by Redis; the tier takes it only
 * if no invalidation of its key came since `sending` was called for the read that brought it, since reply and invalidation travel on two sockets.
 */
export interface LocalTier {
  /** The value, or undefined. Null is a cached absence. */
  get(key: string): unknown;
  /** Called as a read of Redis is sent. What it returns goes to `put`. */
  sending(): number;
  put(entry: Entry, value: unknown, sending: number, ttlLeftMs: number): void;
  drop(key: string): void;
  close(): Promise<void>;
}
