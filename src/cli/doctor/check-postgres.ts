import type { ServerSettings } from '../../drivers/postgres/server-settings.ts';
import { isSynchronousStandby } from '../../drivers/postgres/synchronous-standby.ts';
import { quoteIdentifier } from '../../drivers/postgres/sql-text.ts';
import type { SetupPlan } from '../setup/wish.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

const SUBJECT = 'postgres';
/** The first with column lists. */
const MAJOR_MIN = 15;

/** The server: version, logical decoding, room for a slot and a sender, limits on WAL, and no commit that waits for the relay. */
export function checkServer(settings: ServerSettings, applicationName: string): Finding[] {
  const major = Math.floor(settings.version / 10_000);
  return [
    major >= MAJOR_MIN
      ? ok(SUBJECT, `version ${major}`)
      : fail(SUBJECT, `version ${major}: ${MAJOR_MIN} or newer is needed, for column lists`, 'upgrade the server'),
    settings.walLevel === 'logical'
      ? ok(SUBJECT, 'wal_level is logical')
      : fail(
          SUBJECT,
          `wal_level is ${settings.walLevel}`,
          'ALTER SYSTEM SET wal_level = logical; -- then restart the server',
        ),
    settings.roleCanReplicate
      ? ok(SUBJECT, 'the role may replicate')
      : fail(
          SUBJECT,
          'the role may not replicate',
          `ALTER ROLE ${quoteIdentifier(settings.role)} REPLICATION; -- as a superuser`,
        ),
    room('max_replication_slots', settings.usedReplicationSlots, settings.maxReplicationSlots),
    room('max_wal_senders', settings.usedWalSenders, settings.maxWalSenders),
    checkSynchronousStandbys(settings.synchronousStandbyNames, applicationName),
    checkWalLimit(settings.maxSlotWalKeepSizeMb),
    ...checkIdleTimeout(settings.idleSlotTimeoutS),
  ];
}

/**
 * A backend's crash loses commits that were acknowledged before they were durable. The farewell that tells of it is not promised: a server drops it
 * in the midst of an answer. What shows it for certain is since when the checkpointer runs.
 */
export function checkCrashSign({ role, roleCanReadStats }: ServerSettings): Finding {
  if (roleCanReadStats) return ok(SUBJECT, 'the role sees when the server began its run');
  return warn(
    SUBJECT,
    'the role does not see when the server began its run, so a crash that loses asynchronous commits may go unseen',
    `GRANT pg_read_all_stats TO ${quoteIdentifier(role)}; -- as a superuser; or, without such commits, source.asynchronousCommits: false`,
  );
}

function room(name: string, used: number, max: number): Finding {
  if (used < max) return ok(SUBJECT, `${name}: ${used} of ${max} in use`);
  return warn(
    SUBJECT,
    `${name}: all ${max} in use, so nothing is left for a slot to be made anew or a relay that takes over`,
    `ALTER SYSTEM SET ${name} = ${max + 4}; -- then restart the server`,
  );
}

/** Were our walsender a synchronous standby, every COMMIT of the application would wait for the log of the bus. */
function checkSynchronousStandbys(setting: string, applicationName: string): Finding {
  if (!isSynchronousStandby(setting, applicationName))
    return ok(SUBJECT, setting === '' ? 'no synchronous standbys' : `the relay is none of ${setting}`);
  return fail(
    SUBJECT,
    `synchronous_standby_names = '${setting}' takes the relay for a standby: every COMMIT would wait for the log`,
    "ALTER SYSTEM SET synchronous_standby_names = 'your_standby'; SELECT pg_reload_conf(); -- name your standbys",
  );
}

function checkWalLimit(keepSizeMb: number): Finding {
  if (keepSizeMb !== -1) return ok(SUBJECT, `max_slot_wal_keep_size is ${keepSizeMb} MB`);
  return warn(
    SUBJECT,
    'max_slot_wal_keep_size has no limit: a relay that is away for long fills the disk',
    "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf();",
  );
}

function checkIdleTimeout(seconds: number): Finding[] {
  if (seconds === 0) return [];
  const repair = 'ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();';
  return [warn(SUBJECT, `idle_replication_slot_timeout: a relay that is away for ${seconds} s loses its slot`, repair)];
}

/**
 * What `setup` would do is what is missing, and what it would refuse is what stands in its way. Its notes, of identities that are too
 * small, are the catalog's to tell.
 */
export function checkPlan({ steps, refusals }: SetupPlan): Finding[] {
  const subject = 'set-up';
  const findings = [
    ...refusals.map((each) => fail(subject, `${each.subject}: ${each.why}`, each.repair.join(' ') || undefined)),
    ...steps.map(({ title }) => fail(subject, `not done: ${title}`, 'afterwrite setup')),
  ];
  return findings.length > 0 ? findings : [ok(subject, 'publication, identities and slot are in place')];
}
