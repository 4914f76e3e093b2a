import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFile } from '../../src/cli/doctor/check-file.ts';
import { checkBuffer, checkForgotten } from '../../src/cli/doctor/check-buffer.ts';
import { checkLogRedis, checkTopic } from '../../src/cli/doctor/check-log.ts';
import { checkCrashSign, checkPlan, checkServer } from '../../src/cli/doctor/check-postgres.ts';
import { checkCache, checkDistinct, checkSpread } from '../../src/cli/doctor/check-redis.ts';
import { checkReplica } from '../../src/cli/doctor/check-replica.ts';
import { checkSlot } from '../../src/cli/doctor/check-slot.ts';
import { type Finding, findingLines } from '../../src/cli/doctor/finding.ts';
import { withFiles } from '../../src/cli/doctor/repair.ts';
import { bufferConfig } from '../support/buffer-config.ts';

/** What a check says beside its ok lines, as `level message`. */
function complaints(findings: readonly Finding[]): string[] {
  return findings.filter(({ level }) => level !== 'ok').map(({ level, message }) => `${level} ${message}`);
}

/**
 * From facts of which nothing is to be said, each case changes some, and names by its first words the one complaint that must come, or none.
 * A complaint without a repair is of no use, so each must have one.
 */
function table<Facts extends object>(
  good: Facts,
  check: (facts: Facts) => Finding[],
  cases: readonly (readonly [promise: string, change: Partial<Facts>, complaint: string])[],
): void {
  for (const [promise, change, complaint] of cases) {
    test(promise, () => {
      assert.deepEqual(complaints(check(good)), []);
      const findings = check({ ...good, ...change });
      const found = complaints(findings);
      if (complaint === '') assert.deepEqual(found, []);
      else {
        assert.equal(found.length, 1, found.join('\n'));
        assert.equal(found[0]?.startsWith(complaint), true, found[0]);
      }
      assert.deepEqual(
        findings.filter(({ level, repair }) => level !== 'ok' && repair === undefined),
        [],
      );
    });
  }
}

const SERVER: Parameters<typeof checkServer>[0] = {
  version: 180_001,
  walLevel: 'logical',
  synchronousStandbyNames: '',
  maxSlotWalKeepSizeMb: 65_536,
  maxReplicationSlots: 10,
  usedReplicationSlots: 1,
  maxWalSenders: 10,
  usedWalSenders: 1,
  idleSlotTimeoutS: 0,
  horizonSlots: [],
  role: 'Relay',
  roleCanReplicate: true,
  roleCanReadStats: true,
  hotStandbyFeedback: false,
  isInRecovery: false,
  systemId: '7',
};

table(SERVER, (facts) => checkServer(facts, 'afterwrite-relay-shop'), [
  ['a server before 15 fails: it has no column lists', { version: 140_011 }, 'fail version 14'],
  ['version 15 is well', { version: 150_018 }, ''],
  ['a wal_level other than logical fails', { walLevel: 'replica' }, 'fail wal_level is replica'],
  ['a role without REPLICATION fails', { roleCanReplicate: false }, 'fail the role may not replicate'],
  ['no room for another slot is warned of', { usedReplicationSlots: 10 }, 'warn max_replication_slots: all 10 in use'],
  ['no room for another walsender is warned of', { usedWalSenders: 10 }, 'warn max_wal_senders: all 10 in use'],
  ['WAL without a limit is warned of', { maxSlotWalKeepSizeMb: -1 }, 'warn max_slot_wal_keep_size has no limit'],
  [
    'a timeout that takes the slot of a relay that is away is warned of',
    { idleSlotTimeoutS: 3600 },
    'warn idle_replication_slot_timeout: a relay that is away for 3600 s',
  ],
  [
    'synchronous_standby_names = * fails: every commit would wait for the log',
    { synchronousStandbyNames: '*' },
    "fail synchronous_standby_names = '*'",
  ],
  [
    'the relay by its name in an ANY list fails, whatever its case',
    { synchronousStandbyNames: 'ANY 1 (s1, "Afterwrite-Relay-Shop")' },
    'fail synchronous_standby_names',
  ],
  ['other standbys are well, even with a similar name', { synchronousStandbyNames: 'FIRST 1 (s1, relay)' }, ''],
]);

table(SERVER, (facts) => [checkCrashSign(facts)], [
  [
    'a role that does not see since when the server runs is warned of: a crash may go unseen',
    { roleCanReadStats: false },
    'warn the role does not see when the server began its run',
  ],
]);

const PLAN = { steps: [], refusals: [], notes: [] };
table<Parameters<typeof checkPlan>[0]>(PLAN, checkPlan, [
  [
    'what setup would do has not been done, and fails',
    { steps: [{ title: 'Make the publication p', why: 'w', sql: ['s'] }] },
    'fail not done: Make the publication p',
  ],
  [
    'what setup would refuse fails, with the repair',
    { refusals: [{ subject: 'public.t', why: 'no identity', repair: ['ALTER TABLE t;'] }] },
    'fail public.t: no identity',
  ],
  ['what setup notes is said once, by the catalog', { notes: ['public.t: too small'] }, ''],
]);

const SLOT: Parameters<typeof checkSlot>[0] = {
  name: 'afterwrite_shop_0123abcd',
  identity: '0123abcd',
  database: 'shop',
  isActive: true,
  walStatus: 'reserved',
  restartLsn: null,
  confirmedLsn: null,
  retainedWalBytes: 1 << 20,
  failover: true,
  mayPrecedePublication: false,
};

table(SLOT, (slot) => checkSlot(slot, [SLOT.name]), [
  ['a slot older than its publication fails', { mayPrecedePublication: true }, 'fail is older than its publication'],
  ['a lost slot fails', { walStatus: 'lost' }, 'fail is lost'],
  ['a slot that is about to be lost fails', { walStatus: 'unreserved' }, 'fail is about to be lost'],
  ['much retained WAL is warned of', { retainedWalBytes: 6 * (1 << 30) }, 'warn holds back 6.0 GiB'],
  ['a slot that no standby keeps is warned of', { failover: false }, 'warn is not kept on standbys'],
  ['before 17 nothing is said of standbys', { failover: null }, ''],
  ['without a publication nothing is said of its age', { mayPrecedePublication: null }, ''],
]);

test('where another slot may be why, a slot is only warned to be older than its publication', () => {
  const findings = checkSlot({ ...SLOT, mayPrecedePublication: true }, [SLOT.name, 'another']);
  assert.deepEqual(complaints(findings), [
    'warn may be older than its publication, or only have begun as far back as another',
  ]);
});

const REPLICA: Parameters<typeof checkReplica>[0] = {
  region: 'eu',
  role: 'Relay',
  at: 'pg-eu:5432/shop',
  isInRecovery: true,
  systemId: '7',
  isTimelineKnown: true,
  roleCanReadStats: true,
  hotStandbyFeedback: true,
};

table(REPLICA, (replica) => checkReplica(replica, '7'), [
  ['a replica that is not in recovery fails', { isInRecovery: false }, 'fail pg-eu:5432/shop is no replica'],
  ['a replica of another primary fails', { systemId: '8' }, 'fail pg-eu:5432/shop follows another primary'],
  [
    'a replica that hides its timeline fails: nothing would ever be settled there',
    { isTimelineKnown: false, roleCanReadStats: false },
    'fail pg-eu:5432/shop hides its timeline',
  ],
  ['a replica without a WAL receiver is warned of', { isTimelineKnown: false }, 'warn pg-eu:5432/shop receives no WAL'],
  ['a replica without hot_standby_feedback is well', { hotStandbyFeedback: false }, ''],
]);

test('a replica is not blamed for a source that could not be asked', () => {
  assert.deepEqual(complaints(checkReplica(REPLICA, null)), []);
});

const CACHE: Parameters<typeof checkCache>[1] = {
  url: 'redis://eu',
  version: '7.2.4',
  role: 'master',
  maxmemoryBytes: 1 << 30,
  maxmemoryPolicy: 'volatile-lru',
  isCluster: false,
  isNamedCluster: false,
  sampled: 10,
  withoutTtl: 0,
};

table(CACHE, (facts) => checkCache('redis of eu', facts), [
  ['a cache with noeviction fails', { maxmemoryPolicy: 'noeviction' }, 'fail maxmemory-policy is noeviction'],
  ['a cache without maxmemory fails', { maxmemoryBytes: 0 }, 'fail maxmemory is not set'],
  [
    "allkeys-* is warned of: it may drop the bus's records",
    { maxmemoryPolicy: 'allkeys-lru' },
    'warn maxmemory-policy is allkeys-lru',
  ],
  ['volatile-* is well', { maxmemoryPolicy: 'volatile-ttl' }, ''],
  ['a policy that is not told is warned of', { maxmemoryPolicy: '' }, 'warn maxmemory-policy is ""'],
  ['a Redis before 7 fails', { version: '6.2.14' }, 'fail version 6.2.14'],
  ['a Redis Cluster that is named as one server fails', { isCluster: true }, 'fail is a node of a Redis Cluster'],
  ['a Redis Cluster that is named as one is well', { isCluster: true, isNamedCluster: true }, ''],
  ['a replica of another Redis fails', { role: 'slave' }, 'fail is a replica of another Redis'],
  ['values without a TTL are warned of', { withoutTtl: 3 }, 'warn 3 of 10 values looked at have no TTL'],
  ['an empty cache is well', { sampled: 0 }, ''],
]);

test('cells that are spread unevenly over the masters of a cluster are warned of', () => {
  const levels = [[16, 16, 16], [3, 2, 3], [12], [4, 2, 6], [6, 6, 0]].map(
    (cells) => checkSpread('redis of eu', cells).level,
  );
  assert.deepEqual(levels, ['ok', 'ok', 'ok', 'warn', 'warn']);
});

test('two regions on one Redis fail, and so does a log in a cache', () => {
  const servers = ['redis of eu', 'redis of us', 'log in redis', 'redis of ap'].map((name, i) => ({
    name,
    runId: i === 3 ? 'other' : 'one',
  }));
  assert.deepEqual(
    checkDistinct(servers).map(({ subject, level, message }) => `${level} ${subject} ${message}`),
    ['fail redis of us is the same server as redis of eu', 'fail log in redis is the same server as redis of eu'],
  );
});

const HOUR_MS = 3_600_000;
const KAFKA = {
  kind: 'kafka' as const,
  brokers: ['kafka:9092'],
  topic: 'afterwrite.shop',
  partitions: 12,
  replicationFactor: 3,
  retentionMs: 72 * HOUR_MS,
  ssl: false,
};
const TOPIC = {
  partitions: 12,
  replicationFactor: 3,
  cleanupPolicy: 'delete',
  retentionMs: 72 * HOUR_MS,
  minInsyncReplicas: 2,
};

table(TOPIC, (topic) => checkTopic(KAFKA, topic, topic), [
  ['a compacted topic fails', { cleanupPolicy: 'compact' }, 'fail cleanup.policy is compact'],
  ['a topic that is compacted too fails', { cleanupPolicy: 'compact,delete' }, 'fail cleanup.policy is compact,delete'],
  ['another number of partitions than the file says fails', { partitions: 6 }, 'fail has 6 partitions'],
  ['a shorter retention than the file says is warned of', { retentionMs: HOUR_MS }, 'warn records are kept 1 h'],
  ['a retention without end is well', { retentionMs: -1 }, ''],
  ['one copy is warned of', { replicationFactor: 1, minInsyncReplicas: 1 }, 'warn has one copy'],
  ['one acknowledging copy of three is warned of', { minInsyncReplicas: 1 }, 'warn of 3 copies one is enough'],
  ['fewer copies than must acknowledge fail', { replicationFactor: 1 }, 'fail has fewer copies (1) than min.insync'],
]);

const LOG_REDIS = {
  url: 'redis://log',
  version: '7.0.15',
  appendonly: 'yes',
  appendfsync: 'always',
  maxmemoryPolicy: 'noeviction',
};

table(LOG_REDIS, checkLogRedis, [
  ['a log without an append-only file fails', { appendonly: 'no' }, 'fail may forget what it acknowledged'],
  ['a log that is written a second late fails', { appendfsync: 'everysec' }, 'fail may forget what it acknowledged'],
  ['from 7.2 on a log may be written late: the relay waits for it', { version: '7.2.0', appendfsync: 'everysec' }, ''],
  ['a log that is never flushed fails', { version: '7.2.0', appendfsync: 'no' }, 'fail may forget'],
  [
    'a log that may be evicted fails: the reverse of the rule for a cache',
    { maxmemoryPolicy: 'volatile-lru' },
    'fail maxmemory-policy is volatile-lru',
  ],
]);

const BUFFER: Parameters<typeof checkBuffer>[1] = {
  role: 'master',
  isCluster: false,
  maxmemoryPolicy: 'noeviction',
  maxmemoryBytes: 0,
  appendonly: 'yes',
  appendfsync: 'always',
  noFsyncOnRewrite: 'no',
  bytesMaxOfAll: 1 << 28,
  partitions: 2,
  entries: 10,
  oldestMs: 900,
};

table<typeof BUFFER>(BUFFER, (facts) => checkBuffer(bufferConfig(), facts), [
  ['a buffer’s Redis that may drop fails', { maxmemoryPolicy: 'allkeys-lru' }, 'fail its Redis may drop'],
  ['a buffer’s Redis that is a replica fails', { role: 'slave' }, 'fail its Redis is a replica'],
  ['a buffer’s Redis that is a cluster’s node fails', { isCluster: true }, 'fail its Redis is a node'],
  ['a loss that everysec cannot keep fails', { appendfsync: 'everysec' }, 'fail loss.redis is none, and appendfsync'],
  ['a loss without an append-only file fails', { appendonly: 'no' }, 'fail loss.redis is none, and appendonly is no'],
  [
    'a loss that cannot be judged fails',
    { appendfsync: undefined },
    'fail loss.redis is none, and the server does not',
  ],
  ['a Redis that is full before its buffer is warned of', { maxmemoryBytes: 1 << 20 }, 'warn maxmemory is 1048576'],
  [
    'a Redis that is full before all buffers in it is warned of',
    { maxmemoryBytes: 1 << 29, bytesMaxOfAll: 1 << 29 },
    'warn maxmemory is 536870912',
  ],
  ['a buffer that is older than its loss fails', { oldestMs: 10_001 }, 'fail 10 entries are not flushed'],
  [
    'a buffer with other partitions than its Redis has fails',
    { partitions: 8 },
    'fail has 8 partitions in its Redis and the file says 2',
  ],
  ['a buffer that has not begun is well', { partitions: undefined }, ''],
]);

test('a repair of a buffer’s Redis sets what is wrong, no more than the loss needs, and nothing where a setting is no help', () => {
  const repair = (facts: Partial<typeof BUFFER>, redisMs = 0): (string | undefined)[] =>
    checkBuffer(bufferConfig({ loss: { processMs: 100, redisMs, diskMs: 10_000 } }), { ...BUFFER, ...facts })
      .filter(({ level }) => level === 'fail')
      .map((finding) => finding.repair?.replaceAll(/redis-cli -h 127.0.0.1 -p 1 CONFIG SET | {2}#.*/g, ''));
  assert.deepEqual(repair({ appendonly: 'no' }), ['appendonly yes']);
  assert.deepEqual(repair({ appendonly: 'no', appendfsync: 'no' }), ['appendonly yes && appendfsync always']);
  assert.deepEqual(repair({ appendfsync: 'no', oldestMs: 0 }, 1999), ['appendfsync always']);
  assert.deepEqual(repair({ noFsyncOnRewrite: 'yes', appendfsync: 'no', oldestMs: 0 }, 1999), [
    'appendfsync always && no-appendfsync-on-rewrite no',
  ]);
  assert.deepEqual(repair({ appendfsync: 'everysec', noFsyncOnRewrite: 'yes' }), [
    'appendfsync always && no-appendfsync-on-rewrite no',
  ]);
  assert.deepEqual(repair({ noFsyncOnRewrite: 'yes' }), ['no-appendfsync-on-rewrite no']);
  for (const facts of [{ role: 'slave' as const }, { isCluster: true }, { appendfsync: undefined }])
    assert.doesNotMatch(repair(facts)[0] ?? '', /noeviction|appendonly/);
});

test('a buffer that the file has forgotten fails while anything of it waits', () => {
  const found = new Map([
    ['views', { partitions: 8, windows: 3 }],
    ['old', { partitions: 4, windows: 2 }],
    ['empty', { partitions: 4, windows: 0 }],
  ]);
  assert.deepEqual(
    checkForgotten(new Set(['views']), found).map(({ level, subject }) => `${level} ${subject}`),
    ['fail buffer old'],
  );
});

test('a buffer without a sync is judged by the age at which its alarm is raised', () => {
  const config = bufferConfig({ loss: { processMs: 100, redisMs: 2000, diskMs: 10_000 } });
  const levels = checkBuffer(config, { ...BUFFER, oldestMs: 2500 }).map(({ level }) => level);
  assert.ok(levels.includes('fail'));
});

const FULL = 'ALTER TABLE public.t REPLICA IDENTITY FULL';
const FAULT = { path: 'families.user.on.t', message: 'public.t is not well', repair: FULL };

table<Parameters<typeof checkFile>[0]>({ faults: [], warnings: [] }, checkFile, [
  ['a fault of the catalog fails', { faults: [FAULT] }, 'fail families.user.on.t: public.t is not well'],
  ['a warning of the catalog is one', { warnings: [FAULT] }, 'warn families.user.on.t: public.t is not well'],
]);

test('no repair changes an identity by itself: without the publication in the same step the application could not update', () => {
  const [warning] = checkFile({ faults: [], warnings: [FAULT] });
  assert.equal(warning?.repair, 'afterwrite setup');
  const [fault] = checkFile({ faults: [FAULT], warnings: [] });
  assert.equal(fault?.repair, `${FULL}; -- then: afterwrite setup`);
});

test('each finding is a line with its level and subject, and its repair on the next', () => {
  assert.deepEqual(
    findingLines([
      { subject: 'postgres', level: 'ok', message: 'version 18' },
      { subject: 'log', level: 'fail', message: 'gone', repair: 'afterwrite setup' },
    ]),
    ['ok    postgres  version 18', 'fail  log       gone', '                → afterwrite setup'],
  );
});

function repairsOf(findings: readonly Finding[]): (string | undefined)[] {
  return findings.filter(({ level }) => level !== 'ok').map(({ repair }) => repair);
}

test('a repair in SQL names the role that lacks something: whoever pastes it is another', () => {
  assert.deepEqual(repairsOf(checkServer({ ...SERVER, roleCanReplicate: false }, 'relay')), [
    'ALTER ROLE "Relay" REPLICATION; -- as a superuser',
  ]);
  assert.deepEqual(repairsOf(checkReplica({ ...REPLICA, isTimelineKnown: false, roleCanReadStats: false }, '7')), [
    'GRANT pg_read_all_stats TO "Relay"; -- on the primary, as a superuser',
  ]);
});

test('a repair of Redis is a command for the shell, with the server and the user, and never a password', () => {
  const repair = (url: string): (string | undefined)[] =>
    repairsOf(checkCache('eu', { ...CACHE, url, maxmemoryBytes: 0 }));
  assert.deepEqual(repair('redis://eu'), ['redis-cli -h eu -p 6379 CONFIG SET maxmemory 1gb  # and in its redis.conf']);
  assert.deepEqual(repair("rediss://it's%20me:s3cret@eu:7000/1"), [
    "redis-cli -h eu -p 7000 --tls --user 'it'\\''s me' --askpass CONFIG SET maxmemory 1gb  # and in its redis.conf",
  ]);
});

test('a repair of the topic names its brokers', () => {
  assert.match(
    repairsOf(checkTopic(KAFKA, TOPIC, { ...TOPIC, cleanupPolicy: 'compact' }))[0] ?? '',
    /^kafka-configs\.sh --bootstrap-server \S+ --alter --entity-type topics --entity-name \S+ --add-config cleanup\.policy=delete$/,
  );
});

test('a slot that is read from is dropped once its relay is stopped', () => {
  const [repair] = repairsOf(checkSlot({ ...SLOT, isActive: true, walStatus: 'lost' }, []));
  assert.match(repair ?? '', /; -- once its relay is stopped; then: afterwrite setup$/);
});

test('our own commands are given with the files that the doctor was given', () => {
  const files = ['a.yaml', 'of us/b.yaml'];
  assert.equal(
    withFiles('x; -- then: afterwrite setup', files),
    "x; -- then: afterwrite setup --config a.yaml --config 'of us/b.yaml'",
  );
  assert.equal(withFiles('afterwrite relay', []), 'afterwrite relay');
});
