import type { KeyValue, RowValue } from '../buffer/key-text.ts';

/**
 * The buffers of the application's file, by name. Empty here: `afterwrite config types` writes a file that fills it in, so that
 * `cache.counter('views')` knows its key and `cache.buffer('presence')` its row.
 *
 *     declare module 'afterwrite' {
 *       interface Buffers {
 *         views: { kind: 'counter'; params: { post_id: number } };
 *         presence: { kind: 'buffer'; params: { user_id: number }; row: { page: string | null } };
 *       }
 *     }
 */
// oxlint-disable-next-line typescript/no-empty-object-type -- filled in by the application
export interface Buffers {}

/** The names of one kind. */
export type BufferName<K extends 'counter' | 'buffer'> = {
  [N in keyof Buffers]: Buffers[N] extends { readonly kind: K } ? N : never;
}[keyof Buffers];

export type BufferParams<N extends keyof Buffers> = Buffers[N] extends { readonly params: infer P extends object }
  ? P
  : Readonly<Record<string, KeyValue>>;
export type BufferRowOf<N extends keyof Buffers> = Buffers[N] extends { readonly row: infer R extends object }
  ? R
  : Readonly<Record<string, RowValue>>;
