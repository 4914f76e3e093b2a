import { type HitVerdict, judgeHit } from '../protocol/hit.ts';
import { lsnToHex } from '../protocol/lsn.ts';
import { parseRuleText } from '../protocol/rule-text.ts';
import { parseSlot } from '../protocol/value-slot.ts';
import type { CellWatermark, Entry, ReadReply } from './cache-store.ts';
import type { FamilyContext } from './family-context.ts';

/** Why a read is answered as it is. */
export interface Inspection {
  readonly key: string;
  readonly cell: number;
  /** What stands in the cache is worth this. */
  readonly verdict: HitVerdict['kind'];
  /** Of a miss: what was missing or differed. */
  readonly why: string | undefined;
  /** What makes the family or the key be read through, if anything does. */
  readonly readThrough: 'rules' | 'no rules yet' | 'unproven' | 'eviction waits' | 'evictions lost' | undefined;
  /** The rules by which the region works for the family, and this file's. */
  readonly rule: { readonly region: string | null; readonly own: string };
  /** The cell's epoch, and the value's or the lease's. */
  readonly epoch: { readonly cell: string | null; readonly value: string | undefined };
  /** The offset of the cell's position when the value's lease was taken: a mark above it makes the value old. */
  readonly stamp: number | undefined;
  readonly marks: { readonly family: number | undefined; readonly tags: readonly (number | undefined)[] };
  /** Milliseconds; undefined where nothing stands, or without an end. What is past the time to live counts below 0. */
  readonly ttlLeftMs: number | undefined;
  /** The token of the load that is under way. */
  readonly lease: string | undefined;
  /** How far behind the database the region is, by this process's clock. */
  readonly stalenessMs: number | undefined;
  readonly watermark: string | undefined;
  /** The error that answers for the key at the moment. */
  readonly failure: unknown;
}

export interface InspectFacts {
  readonly isKept: boolean;
  /** Evictions were lost: nothing in the cell is trusted. */
  readonly isDistrusted: boolean;
  readonly failure: unknown;
  readonly nowMs: number;
}

export function inspectReply(context: FamilyContext, entry: Entry, reply: ReadReply, facts: InspectFacts): Inspection {
  const { family } = context;
  const verdict = judgeHit(reply, family.staleMs, family.version);
  const slot = reply.slot === null ? undefined : parseSlot(reply.slot);
  const value = slot?.kind === 'value' ? slot : undefined;
  return {
    key: entry.key,
    cell: entry.cell,
    verdict: verdict.kind,
    why: verdict.kind === 'miss' ? verdict.why : undefined,
    readThrough: readThroughOf(context, reply.rule, facts),
    rule: { region: reply.rule, own: family.ruleHash },
    epoch: { cell: reply.epoch, value: slot === undefined || slot.kind === 'foreign' ? undefined : slot.epoch },
    stamp: value?.offset,
    marks: { family: reply.familyMark?.offset, tags: reply.tagMarks.map((mark) => mark?.offset) },
    ttlLeftMs: value === undefined || reply.ttlLeftMs < 0 ? undefined : reply.ttlLeftMs - family.staleMs,
    lease: slot?.kind === 'lease' ? slot.token : value?.lease,
    stalenessMs: stalenessMs(reply.watermark, facts.nowMs),
    watermark: reply.watermark === null ? undefined : lsnToHex(reply.watermark.lsn),
    failure: facts.failure,
  };
}

/** In the order in which a read finds it. */
function readThroughOf(
  { family, isProven }: FamilyContext,
  rule: string | null,
  { isKept, isDistrusted }: InspectFacts,
): Inspection['readThrough'] {
  if (isKept) return 'eviction waits';
  if (isDistrusted) return 'evictions lost';
  if (rule === null) return 'no rules yet';
  if (parseRuleText(rule).hash !== family.ruleHash) return 'rules';
  return isProven ? undefined : 'unproven';
}

/** Undefined where nothing is known of the region, as in a cell whose epoch has just begun. */
function stalenessMs(watermark: CellWatermark | null, nowMs: number): number | undefined {
  return watermark === null || watermark.asOfMs === 0 ? undefined : Math.max(0, nowMs - watermark.asOfMs);
}
