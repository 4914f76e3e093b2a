import type { Peer, Settings } from './adapter.ts';

/** One question, put to every library in the same words. */
export interface Scenario<R = unknown> {
  readonly number: number;
  /** The name of its result in the JSON. */
  readonly name: string;
  readonly title: string;
  readonly headings: readonly string[];
  run(peer: Peer, settings: Settings): Promise<R>;
  /** One text a heading. */
  cells(result: R): readonly string[];
}

/** What a library cannot be asked. */
export interface Unable {
  readonly value: null;
  readonly reason: string;
}

export function unable(reason: string): Unable {
  return { value: null, reason };
}
