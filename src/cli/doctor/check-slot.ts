import { dropSlotSql, type Slot } from '../../drivers/postgres/slot.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

const GIB = 1 << 30;
/** WAL held back for so long is an outage in the making. */
const RETAINED_WARN_BYTES = 5 * GIB;

/**
 * The slot: that it can still be read, knows the publication, and outlives a failover. `horizonSlots` are all slots of the server that hold
 * back old row versions.
 */
export function checkSlot(slot: Slot, horizonSlots: readonly string[]): Finding[] {
  const subject = `slot ${slot.name}`;
  // A slot that is read from cannot be dropped.
  const once = slot.isActive ? 'once its relay is stopped; ' : '';
  const remake = `${dropSlotSql(slot.name)}; -- ${once}then: afterwrite setup`;
  const findings = [
    ...checkAge(slot, horizonSlots, subject, remake),
    ...checkWal(slot, subject, remake),
    ...(slot.failover === false
      ? [warn(subject, 'is not kept on standbys: a failover of Postgres begins a new source epoch', remake)]
      : []),
  ];
  const streams = slot.isActive ? 'a relay streams from it' : 'no relay streams from it';
  return findings.length > 0 ? findings : [ok(subject, `${streams}, wal_status ${slot.walStatus ?? 'none yet'}`)];
}

/**
 * A slot decodes with the catalog as of each change. Its horizon tells its age only where it is the only one: a new slot takes over the
 * horizon of whichever other is furthest behind (GetOldestSafeDecodingTransactionId in procarray.c), and moves on as a relay confirms.
 */
function checkAge(slot: Slot, horizonSlots: readonly string[], subject: string, remake: string): Finding[] {
  if (slot.mayPrecedePublication !== true) return [];
  const others = horizonSlots.filter((name) => name !== slot.name);
  if (others.length === 0)
    return [fail(subject, 'is older than its publication: changes from before cannot be decoded', remake)];
  const message = `may be older than its publication, or only have begun as far back as ${others.join(', ')}`;
  return [warn(subject, message, `afterwrite relay; -- or, if this stays for minutes: ${remake}`)];
}

function checkWal({ walStatus, retainedWalBytes }: Slot, subject: string, remake: string): Finding[] {
  if (walStatus === 'lost') return [fail(subject, 'is lost: the server has removed WAL that it needed', remake)];
  const held = retainedWalBytes ?? 0;
  if (walStatus === 'unreserved') {
    const message = `is about to be lost: it holds back ${gibibytes(held)}, more than max_slot_wal_keep_size`;
    return [fail(subject, message, 'afterwrite relay; -- or raise max_slot_wal_keep_size')];
  }
  if (held <= RETAINED_WARN_BYTES) return [];
  return [warn(subject, `holds back ${gibibytes(held)} of WAL`, 'afterwrite status; -- does a relay stream?')];
}

function gibibytes(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
