import { BUFFER_TABLES } from '../../drivers/postgres/buffer-tables.ts';
import { createSlotSql, dropSlotSql } from '../../drivers/postgres/slot.ts';
import { ddlReportBody, installDdlReport, removeDdlReport } from './ddl-report.ts';
import { planPublication } from './plan-publication.ts';
import type { Refusal, SetupFacts, SetupPlan, SetupStep, SetupWish } from './wish.ts';

/** A slot waits for all running transactions, and holds nobody up meanwhile. */
const SLOT_LOCK_TIMEOUT = '60s';

/**
 * Plans what makes the source database feed the bus, from what it is like now. What is in place is left alone, so that a plan made
 * after its own application is empty. The publication comes before the slot: a slot that is older than its publication stands at WAL
 * that cannot be decoded for it.
 *
 * `slotIdentity` is 8 random hex digits, for a slot that must be made.
 */
export function planSetup(wish: SetupWish, facts: SetupFacts, slotIdentity: string): SetupPlan {
  if (facts.isStandby) {
    const why = 'it is a standby: publication and slot are made on the primary';
    return { steps: [], refusals: [{ subject: 'the server', why, repair: [] }], notes: [] };
  }
  const publication = planPublication(wish, facts);
  const slot = planSlot(wish, facts, slotIdentity);
  return {
    steps: [...publication.steps, ...planDdlReport(wish, facts), ...planBuffers(wish, facts), ...slot.steps],
    refusals: [...publication.refusals, ...slot.refusals],
    notes: publication.notes,
  };
}

function planDdlReport({ bus, eventTrigger, tables }: SetupWish, facts: SetupFacts): SetupStep[] {
  if (!eventTrigger) {
    if (!facts.hasDdlReport) return [];
    const why = 'the file no longer asks for it';
    return [{ title: 'Remove the event triggers that report DDL', why, sql: removeDdlReport(bus) }];
  }
  const names = [...new Set(tables.map(({ schema, name }) => `${schema}.${name}`))].toSorted();
  const body = ddlReportBody(
    names,
    names.filter((name) => facts.tables.get(name)?.kind === 'partitioned'),
  );
  if (facts.ddlReportBody === body) return [];
  const why = 'an ALTER TABLE, DROP, ATTACH or DETACH of these tables then reaches the bus within its own transaction';
  return [{ title: 'Install event triggers that report DDL', why, sql: installDdlReport(bus, body) }];
}

function planBuffers({ hasBuffers }: SetupWish, { hasBufferTables }: SetupFacts): SetupStep[] {
  if (!hasBuffers || hasBufferTables) return [];
  const why =
    'they say what has been flushed, and what was refused; another role that flushes needs SELECT, INSERT and UPDATE on them';
  return [{ title: 'Make the tables of buffers', why, sql: BUFFER_TABLES }];
}

function planSlot(
  { slotPrefix }: SetupWish,
  { slots, walLevel, serverVersion }: SetupFacts,
  slotIdentity: string,
): { readonly steps: readonly SetupStep[]; readonly refusals: readonly Refusal[] } {
  if (walLevel !== 'logical') {
    const why = `wal_level is ${walLevel}, so no slot can be made yet`;
    const repair = ['ALTER SYSTEM SET wal_level = logical;', '-- then restart the server'];
    return { steps: [], refusals: [{ subject: 'the server', why, repair }] };
  }
  const [one, another] = slots;
  if (another !== undefined) {
    const why = 'several slots are of this bus, and each holds back WAL: drop all but the one in use';
    const repair = slots.filter(({ isActive }) => !isActive).map(({ name }) => `${dropSlotSql(name)};`);
    return { steps: [], refusals: [{ subject: slots.map(({ name }) => name).join(', '), why, repair }] };
  }
  if (one !== undefined && one.walStatus !== 'lost') return { steps: [], refusals: [] };
  const name = `${slotPrefix}_${slotIdentity}`;
  const create = {
    title: `Make the replication slot ${name}`,
    why: 'from here on Postgres keeps what the relay has not confirmed; the random part tells this slot from any later one',
    sql: [
      `SET lock_timeout = '${SLOT_LOCK_TIMEOUT}'`,
      'SET statement_timeout = 0',
      createSlotSql(name, serverVersion),
      'RESET statement_timeout',
      'RESET lock_timeout',
    ],
  };
  if (one === undefined) return { steps: [create], refusals: [] };
  const why = 'Postgres has removed WAL that it needed, so it can never be read again';
  return {
    steps: [{ title: `Drop the lost slot ${one.name}`, why, sql: [dropSlotSql(one.name)] }, create],
    refusals: [],
  };
}
