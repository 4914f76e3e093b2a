/** The prefix of the message by which a relay notes in Postgres's own log that it has drawn a source epoch. Relays that do not know it pass it over. */
export const EPOCH_MARK_PREFIX = 'afterwrite-epoch';

/**
 * A relay that draws a source epoch notes its number in Postgres's log before it sends anything of it. The log of the bus may lose the records of an epoch,
 * or hide them behind late sends of a former relay; but whoever has the slot next reads this, unless it was confirmed, which it was not before every
 * partition held records that reach beyond it.
 */
export interface EpochMark {
  readonly bus: string;
  readonly number: number;
}

export function printEpochMark({ bus, number }: EpochMark): string {
  return JSON.stringify({ bus, number });
}

/** Undefined for what no relay has written. */
export function parseEpochMark(content: string): EpochMark | undefined {
  try {
    const raw = JSON.parse(content) as { readonly bus?: unknown; readonly number?: unknown } | null;
    const { bus, number } = raw ?? {};
    return typeof bus === 'string' && typeof number === 'number' ? { bus, number } : undefined;
  } catch {
    return undefined;
  }
}
