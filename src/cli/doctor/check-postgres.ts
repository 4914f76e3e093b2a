import type { Slot } from '../../drivers/postgres/slot.ts';
import type { SetupPlan } from '../setup/wish.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

export interface ServerSettings {
  /** `server_version_num`, such as 180001. */
  readonly version: number;
  readonly walLevel: string;
  readonly synchronousStandbyNames: string;
  /** -1 is without a limit. */
  readonly maxSlotWalKeepSizeMb: number;
  readonly maxReplicationSlots: number;
  readonly usedReplicationSlots: number;
  readonly maxWalSenders: number;
  readonly usedWalSenders: number;
  readonly roleCanReplicate: boolean;
}

const GIB = 1 << 30;
/** WAL held back for so long is an outage in the making. */
const RETAINED_WARN_BYTES = 5 * GIB;

/** The server: version, logical decoding, room for a slot and a sender, and nobody waiting for our acknowledgement. */
export function checkServer(settings: ServerSettings, applicationName: string): Finding[] {
  const subject = 'postgres';
  const major = Math.floor(settings.version / 10_000);
  return [
    major >= 15
      ? ok(subject, `version ${major}`)
      : fail(subject, `version ${major}: 15 or newer is needed, for column lists`, 'upgrade the server'),
    settings.walLevel === 'logical'
      ? ok(subject, 'wal_level is logical')
      : fail(
          subject,
          `wal_level is ${settings.walLevel}`,
          'ALTER SYSTEM SET wal_level = logical; -- then restart the server',
        ),
    settings.roleCanReplicate
      ? ok(subject, 'the role may replicate')
      : fail(subject, 'the role may not replicate', 'ALTER ROLE CURRENT_USER REPLICATION; -- as a superuser'),
    room(subject, 'max_replication_slots', settings.usedReplicationSlots, settings.maxReplicationSlots),
    room(subject, 'max_wal_senders', settings.usedWalSenders, settings.maxWalSenders),
    checkSynchronousStandby(settings.synchronousStandbyNames, applicationName),
    settings.maxSlotWalKeepSizeMb === -1
      ? warn(
          subject,
          'max_slot_wal_keep_size has no limit: a relay that is away for long fills the disk',
          "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf();",
        )
      : ok(subject, `max_slot_wal_keep_size is ${settings.maxSlotWalKeepSizeMb} MB`),
  ];
}

function room(subject: string, name: string, used: number, max: number): Finding {
  if (used < max) return ok(subject, `${name}: ${used} of ${max} in use`);
  return warn(
    subject,
    `${name}: all ${max} in use; a second relay could not stand by`,
    `ALTER SYSTEM SET ${name} = ${max + 4}; -- then restart the server`,
  );
}

/** A list of standbys: `FIRST 1 (a, b)`, `ANY 2 (a, "b c")`, `a, b`, `*` ("synchronous_standby_names" in Postgres's manual). */
export function standbysOf(setting: string): string[] {
  const inner = /\(([^)]*)\)/.exec(setting)?.[1] ?? setting;
  return inner
    .split(',')
    .map((name) => name.trim().replace(/^"(.*)"$/, '$1'))
    .filter((name) => name !== '');
}

/** Were our walsender a synchronous standby, every COMMIT of the application would wait for the log of the bus. */
function checkSynchronousStandby(setting: string, applicationName: string): Finding {
  const names = standbysOf(setting);
  const isCaught = names.some((name) => name === '*' || name.toLowerCase() === applicationName.toLowerCase());
  if (!isCaught)
    return ok(
      'postgres',
      names.length === 0 ? 'no synchronous standbys' : `synchronous standbys are ${names.join(', ')}`,
    );
  return fail(
    'postgres',
    `synchronous_standby_names = '${setting}' takes the relay for a standby: every COMMIT would wait for the log`,
    "ALTER SYSTEM SET synchronous_standby_names = 'your_standby'; SELECT pg_reload_conf(); -- name your standbys",
  );
}

/** What `setup` would do or refuse is what is missing. */
export function checkPlan({ steps, refusals, notes }: SetupPlan): Finding[] {
  const subject = 'set-up';
  const findings = [
    ...refusals.map(({ subject: what, why, repair }) => fail(subject, `${what}: ${why}`, repair.join(' '))),
    ...steps.map(({ title }) => fail(subject, `not done: ${title}`, 'afterwrite setup')),
    ...notes.map((note) => warn(subject, note)),
  ];
  return findings.length > 0 ? findings : [ok(subject, 'publication, identities and slot are in place')];
}

export function checkSlots(slots: readonly Slot[]): Finding[] {
  return slots.flatMap((slot): Finding[] => {
    const subject = `slot ${slot.name}`;
    const findings: Finding[] = [];
    const remake = `SELECT pg_drop_replication_slot('${slot.name}'); -- then: afterwrite setup`;
    if (slot.mayPrecedePublication === true)
      findings.push(
        fail(subject, 'is older than its publication: what it would stream from before cannot be decoded', remake),
      );
    if (slot.walStatus === 'lost')
      findings.push(fail(subject, 'is lost: the server has removed WAL that it needed', remake));
    else if (slot.walStatus === 'unreserved')
      findings.push(
        fail(
          subject,
          'is about to be lost: it holds back more than max_slot_wal_keep_size',
          'start the relay, or raise max_slot_wal_keep_size',
        ),
      );
    if ((slot.retainedWalBytes ?? 0) > RETAINED_WARN_BYTES)
      findings.push(
        warn(subject, `holds back ${((slot.retainedWalBytes ?? 0) / GIB).toFixed(1)} GiB of WAL`, 'afterwrite status'),
      );
    if (slot.failover === false)
      findings.push(warn(subject, 'is not kept on standbys: a failover of Postgres begins a new source epoch', remake));
    return findings.length > 0
      ? findings
      : [
          ok(
            subject,
            `${slot.isActive ? 'a relay streams from it' : 'no relay streams from it'}, wal_status ${slot.walStatus}`,
          ),
        ];
  });
}

export interface ReplicaFacts {
  readonly region: string;
  readonly at: string;
  readonly isInRecovery: boolean;
  readonly systemId: string;
}

export function checkReplica(replica: ReplicaFacts, primarySystemId: string): Finding {
  const subject = `replica of ${replica.region}`;
  if (!replica.isInRecovery)
    return fail(
      subject,
      `${replica.at} is no replica: it is not in recovery`,
      'put the URL of a read replica into the file',
    );
  if (replica.systemId !== primarySystemId)
    return fail(
      subject,
      `${replica.at} follows another primary`,
      'put the URL of a replica of the source into the file',
    );
  return ok(subject, `${replica.at} follows the source`);
}
