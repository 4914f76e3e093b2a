import { BusError } from './errors.ts';
import type { Act, Invalidation } from './invalidation.ts';
import type { LogRecord, ReachedItem, RulesNotice, TransactionItems } from './log-record.ts';
import { lsnFromHex, lsnToHex } from './lsn.ts';
import type { SourceEpoch } from './source-epoch.ts';

/**
 * Records as JSON text, version 1. Short names, since they repeat in every record; neighbours of one family and act share one list:
 *
 *     {"v":1,"bus":"shop","e":[7,"7312…",1,"9f3a01bc",1767225600000],"i":["…from","…to"],"h":"…sentThrough","g":["…commitLsn",50],
 *      "s":"…settled","a":1767225661500.25,
 *      "t":[["…commitLsn",1767225661499.125,0,[["k","user","evict","user:42","user:43"],["f","org-members","evict"],["t","org:7"]]]],
 *      "r":{"partitions":12,"bucketsPerCell":5461,"families":{"user":"5f0c…"}}}
 */
export const RECORD_VERSION = 1;

export function encodeRecord(record: LogRecord): string {
  const { number, systemId, timeline, slotIdentity, postmasterStartedAtMs } = record.sourceEpoch;
  return JSON.stringify({
    v: RECORD_VERSION,
    bus: record.bus,
    e: [number, systemId, timeline, slotIdentity, postmasterStartedAtMs],
    i: [lsnToHex(record.from), lsnToHex(record.to)],
    h: lsnToHex(record.sentThrough),
    ...(record.after === undefined ? {} : { g: [lsnToHex(record.after.commitLsn), record.after.next] }),
    s: lsnToHex(record.settledPrimary),
    a: record.asOfMs,
    t: record.transactions.map((t) => [lsnToHex(t.commitLsn), t.committedAtMs, t.ordinal, encodeItems(t.items)]),
    ...(record.rules === undefined ? {} : { r: record.rules }),
  });
}

function encodeItems(items: readonly Invalidation[]): string[][] {
  const groups: string[][] = [];
  let keys: string[] | undefined;
  for (const item of items) {
    if (item.scope === 'key') {
      if (keys === undefined || keys[1] !== item.family || keys[2] !== item.act)
        groups.push((keys = ['k', item.family, item.act]));
      keys.push(item.key);
      continue;
    }
    keys = undefined;
    groups.push(item.scope === 'family' ? ['f', item.family, item.act] : ['t', item.tag]);
  }
  return groups;
}

/**
 * Reads a record. `at` names its place for the error. Throws `RECORD_VERSION_UNKNOWN` for a version of another release, and
 * `RECORD_INVALID` for anything else that is no record of ours.
 */
export function decodeRecord(text: string, at: string): LogRecord {
  try {
    const raw = object(JSON.parse(text));
    if (raw['v'] !== RECORD_VERSION) {
      throw new BusError(
        'RECORD_VERSION_UNKNOWN',
        `Version ${RECORD_VERSION} is known; the record says ${JSON.stringify(raw['v'])}.`,
        { at },
      );
    }
    const [from, to] = array(raw['i']);
    const record = {
      bus: string(raw['bus']),
      sourceEpoch: decodeEpoch(array(raw['e'])),
      from: lsnFromHex(string(from)),
      to: lsnFromHex(string(to)),
      sentThrough: lsnFromHex(string(raw['h'])),
      ...(raw['g'] === undefined ? {} : { after: decodeReached(array(raw['g'])) }),
      settledPrimary: lsnFromHex(string(raw['s'])),
      asOfMs: number(raw['a']),
      transactions: array(raw['t']).map(decodeTransaction),
    };
    if (record.to < record.from) throw new TypeError('its interval ends before it begins');
    return raw['r'] === undefined ? record : { ...record, rules: decodeRules(object(raw['r'])) };
  } catch (cause) {
    if (cause instanceof BusError && cause.code === 'RECORD_VERSION_UNKNOWN') throw cause;
    throw new BusError('RECORD_INVALID', `This is no record of Afterwrite: ${(cause as Error).message}.`, {
      at,
      cause,
    });
  }
}

function decodeReached(raw: readonly unknown[]): ReachedItem {
  return { commitLsn: lsnFromHex(string(raw[0])), next: number(raw[1]) };
}

function decodeEpoch(raw: readonly unknown[]): SourceEpoch {
  return {
    number: number(raw[0]),
    systemId: string(raw[1]),
    timeline: number(raw[2]),
    slotIdentity: string(raw[3]),
    postmasterStartedAtMs: number(raw[4]),
  };
}

function decodeTransaction(raw: unknown): TransactionItems {
  const [commitLsn, committedAtMs, ordinal, groups] = array(raw);
  const items: Invalidation[] = [];
  for (const group of array(groups)) decodeGroup(array(group), items);
  return {
    commitLsn: lsnFromHex(string(commitLsn)),
    committedAtMs: number(committedAtMs),
    ordinal: number(ordinal),
    items,
  };
}

function decodeGroup(group: readonly unknown[], items: Invalidation[]): void {
  switch (group[0]) {
    case 'k': {
      const family = string(group[1]);
      const act = decodeAct(group[2]);
      for (let i = 3; i < group.length; i++) items.push({ scope: 'key', family, act, key: string(group[i]) });
      return;
    }
    case 'f':
      items.push({ scope: 'family', family: string(group[1]), act: decodeAct(group[2]) });
      return;
    case 't':
      items.push({ scope: 'tag', tag: string(group[1]) });
      return;
    default:
      throw new TypeError(`${JSON.stringify(group[0])} is no kind of item`);
  }
}

function decodeAct(raw: unknown): Act {
  if (raw === 'evict' || raw === 'refresh' || raw === 'expire') return raw;
  throw new TypeError(`${JSON.stringify(raw)} is no act`);
}

function decodeRules(raw: Record<string, unknown>): RulesNotice {
  const families = Object.fromEntries(
    Object.entries(object(raw['families'])).map(([name, hash]) => [name, string(hash)]),
  );
  return { partitions: number(raw['partitions']), bucketsPerCell: number(raw['bucketsPerCell']), families };
}

function object(raw: unknown): Record<string, unknown> {
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return raw as Record<string, unknown>;
  throw new TypeError('an object is expected');
}

function array(raw: unknown): readonly unknown[] {
  if (Array.isArray(raw)) return raw;
  throw new TypeError('a list is expected');
}

function string(raw: unknown): string {
  if (typeof raw === 'string') return raw;
  throw new TypeError('a text is expected');
}

function number(raw: unknown): number {
  // JSON has no infinity, but a number that is too large is read as one, and could not be written again.
  if (typeof raw === 'number' && Number.isFinite(raw)) return raw;
  throw new TypeError('a number is expected');
}
