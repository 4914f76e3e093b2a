import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { examine } from '../../src/cli/doctor/examine.ts';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import type { BusConfig, RegionConfig } from '../../src/config/bus-config.ts';
import { connect } from '../../src/drivers/postgres/connection.ts';
import { createSlotSql, dropSlotSql } from '../../src/drivers/postgres/slot.ts';
import type { PostgresMajor } from '../../src/stack/postgres-programs.ts';
import { startPostgres } from '../../src/stack/postgres.ts';
import { busConfig, USER } from '../support/bus-config.ts';
import { setUp } from '../support/running-relay.ts';
import { eventually } from '../support/eventually.ts';
import { openStage, SHOP, SHOP_FAMILIES, type Stage } from '../support/stage.ts';

/** Nothing limits the WAL of a server that a test starts. */
const EXPECTED = /max_slot_wal_keep_size has no limit/;

function complaintsOf(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ level, message }) => level !== 'ok' && !EXPECTED.test(message));
}

function only(findings: readonly Finding[]): Finding {
  const [first, ...more] = findings;
  assert.ok(first !== undefined, 'nothing was found');
  assert.deepEqual(more, []);
  return first;
}

for (const major of [15, 18] as const) {
  describe(`doctor on PostgreSQL ${major} and Redis`, { timeout: 120_000 }, () => {
    let stage: Stage;
    before(async () => {
      stage = await openStage({ log: 'redis-streams', major, schema: SHOP, families: SHOP_FAMILIES });
      // Some tests make a commit wait for a standby that is not there.
      await run('SET synchronous_commit = local', "INSERT INTO users VALUES (1, 1, 'a')");
    });
    after(() => stage.close());
    afterEach(async () => {
      assert.deepEqual(await complaints(), [], 'a test must leave the stage as it was');
    });

    async function run(...statements: readonly string[]): Promise<void> {
      for (const statement of statements) await stage.sql.query(statement);
    }

    async function complaints(change: Partial<BusConfig> = {}): Promise<Finding[]> {
      return complaintsOf(await examine({ ...stage.config, ...change }));
    }

    async function setSystem(statement: string, setting: string, value: string): Promise<void> {
      await run(statement, 'SELECT pg_reload_conf()');
      await eventually(`${setting} is ${value}`, async () => {
        const [row] = await stage.sql.query<{ value: string }>('SELECT current_setting($1) AS value', [setting]);
        return row?.value === value;
      });
    }

    /** The one slot of the bus, by its name. */
    async function slotName(): Promise<string> {
      const [row] = await stage.sql.query<{ slot_name: string }>(
        `SELECT slot_name FROM pg_replication_slots WHERE starts_with(slot_name, $1)`,
        [stage.config.source.slotPrefix],
      );
      return row?.slot_name ?? '';
    }

    const setUpAgain = async (repairIdentity = true): Promise<void> => {
      await setUp(stage.sql, stage.config, repairIdentity);
      // A plan is applied on a session of ours, and puts its settings back.
      await run('SET search_path = public');
    };
    const update = (): Promise<unknown> => stage.sql.query('UPDATE users SET org_id = org_id + 1');

    test('after setup nothing is to be mended but what a role without any grant may not do or see', async () => {
      assert.deepEqual(await complaints(), []);
      await run('CREATE ROLE plain LOGIN');
      const url = stage.url.replace('postgres@', 'plain@');
      const found = await complaints({ source: { ...stage.config.source, url } });
      assert.deepEqual(
        found.map(({ level, message }) => `${level} ${message}`),
        [
          'fail the role may not replicate',
          'warn the role does not see when the server began its run, so a crash that loses asynchronous commits may go unseen',
        ],
      );
    });

    test('synchronous_standby_names that would take the relay for a standby fails', async () => {
      const name = 'synchronous_standby_names';
      await setSystem(`ALTER SYSTEM SET ${name} = 'ANY 1 (other, *)'`, name, 'ANY 1 (other, *)');
      const { level, message } = only(await complaints());
      await setSystem(`ALTER SYSTEM RESET ${name}`, name, '');
      assert.equal(level, 'fail');
      assert.match(message, /every COMMIT would wait/);
    });

    test('a publication that was made anew after the slot fails, until the repair that is printed has been made', async () => {
      const { publication } = stage.config.source;
      await run(`DROP PUBLICATION ${publication}`, `CREATE PUBLICATION ${publication}`);
      await setUpAgain();
      const { level, message, repair } = only(await complaints());
      assert.equal(level, 'fail');
      assert.match(message, /older than its publication/);
      assert.equal(repair, `${dropSlotSql(await slotName())}; -- then: afterwrite setup`);
      await run(dropSlotSql(await slotName()));
      await setUpAgain();
    });

    test('a slot that began as far back as another one is not failed for it', async () => {
      await run(createSlotSql('behind', 0), `INSERT INTO orgs VALUES (1, 'o')`, dropSlotSql(await slotName()));
      await run(`DROP PUBLICATION ${stage.config.source.publication}`);
      await setUpAgain();
      const { level, message } = only(await complaints());
      assert.equal(level, 'warn');
      assert.match(message, /as far back as behind$/);
      await run(dropSlotSql('behind'), dropSlotSql(await slotName()));
      await setUpAgain();
    });

    test('a missing identity fails, and after the repair that is printed the application can update', async () => {
      await run('ALTER TABLE users REPLICA IDENTITY NOTHING');
      await assert.rejects(update(), { code: 'POSTGRES_QUERY_FAILED' });
      const found = await complaints();
      assert.ok(
        found.every(({ level }) => level === 'fail'),
        JSON.stringify(found),
      );
      const repairs = found.filter(({ subject }) => subject === 'file').map(({ repair }) => repair);
      const repair = 'ALTER TABLE public.users REPLICA IDENTITY FULL';
      assert.deepEqual([...new Set(repairs)], [`${repair}; -- then: afterwrite setup`]);
      await run(repair);
      await setUpAgain();
      await update();
    });

    test('an identity that is too small, and is meant to be, is warned of and no more', async () => {
      await run('ALTER TABLE users REPLICA IDENTITY DEFAULT');
      await setUpAgain(false);
      await update();
      const { level, message, repair } = only(await complaints());
      assert.deepEqual([level, repair], ['warn', 'afterwrite setup']);
      assert.match(message, /the replica identity of public\.users lacks org_id/);
      await setUpAgain();
      await update();
    });

    test('noeviction and an unset maxmemory in a cache fail, allkeys-lru is warned of, volatile-* is well', async () => {
      const set = (name: string, value: string): Promise<unknown> => stage.redis.config('SET', name, value);
      const answers: string[] = [];
      for (const [name, value] of [
        ['maxmemory-policy', 'noeviction'],
        ['maxmemory-policy', 'allkeys-lru'],
        ['maxmemory-policy', 'volatile-ttl'],
        ['maxmemory', '0'],
      ] as const) {
        await set(name, value);
        answers.push((await complaints()).map(({ level, message }) => `${level} ${message.split(':')[0]}`).join());
      }
      await set('maxmemory', '256mb');
      await set('maxmemory-policy', 'volatile-lru');
      assert.deepEqual(answers, [
        'fail maxmemory-policy is noeviction',
        'warn maxmemory-policy is allkeys-lru',
        '',
        'fail maxmemory is not set',
      ]);
    });

    test('a managed cache that closes CONFIG is looked at all the same', async () => {
      await stage.redis.call('ACL', 'SETUSER', 'managed', 'on', '>secret', '~*', '+@all', '-config');
      const redis = stage.cache.url.replace('redis://', 'redis://managed:secret@');
      const regions = new Map([['eu', { name: 'eu', redis, replicas: [] }]]);
      assert.deepEqual(await complaints({ regions }), []);
      await stage.redis.config('SET', 'maxmemory-policy', 'noeviction');
      const { message } = only(await complaints({ regions }));
      await stage.redis.config('SET', 'maxmemory-policy', 'volatile-lru');
      assert.match(message, /^maxmemory-policy is noeviction/);
    });

    test("values without TTL are warned of, and the bus's own records are none", async () => {
      await stage.redis.set('user:1', 'v');
      await stage.redis.set('user:2', 'v', 'EX', 600);
      await stage.redis.hset(`afterwrite:${stage.config.bus}:{0}:record`, 'owner', '');
      const { level, message } = only(await complaints());
      await stage.redis.flushall();
      assert.equal(level, 'warn');
      assert.match(message, /^1 of 2 values looked at have no TTL/);
    });

    test('a cache that serves two regions, and a log in it, fail', async () => {
      const redis = stage.cache.url;
      const region = (name: string): [string, RegionConfig] => [name, { name, redis, replicas: [] }];
      const found = await complaints({ regions: new Map([region('eu'), region('us')]) });
      assert.match(only(found).message, /is the same server as redis of eu/);
      assert.equal(stage.config.log.kind, 'redis-streams');
      const log = await complaints({ log: { ...stage.config.log, url: redis } as BusConfig['log'] });
      assert.deepEqual(
        log.map(({ subject, message }) => `${subject} ${message.split(':')[0]}`),
        [
          'log in redis may forget what it acknowledged',
          'log in redis maxmemory-policy is volatile-lru',
          'log in redis LOG_MISSING (afterwrite',
          'redis of eu is the same server as log in redis',
        ],
      );
    });

    test('what cannot be reached fails by itself, and the rest is looked at all the same', async () => {
      const away = { name: 'us', redis: 'redis://app:s3cret@127.0.0.1:1', replicas: ['postgres://127.0.0.1:1/none'] };
      const found = await complaints({ regions: new Map([...stage.config.regions, ['us', away]]) });
      const lines = found.map(({ subject, level, message }) => `${level} ${subject} ${message.split(/[ :]/)[0]}`);
      assert.deepEqual(lines.toSorted(), [
        'fail redis of us REDIS_UNREACHABLE',
        'fail replica of us POSTGRES_UNREACHABLE',
      ]);
      assert.doesNotMatch(JSON.stringify(found), /s3cret/);
    });
  });

  test(`doctor knows a replica of PostgreSQL ${major} from a primary, and from one that hides its timeline`, async () => {
    const verdicts = await replicaVerdicts(major);
    assert.deepEqual(verdicts, {
      replica: [],
      'the primary itself': ['fail is no replica'],
      'an ordinary role': ['fail hides its timeline'],
      'another source': ['fail follows another primary'],
    });
  });
}

async function replicaVerdicts(major: PostgresMajor): Promise<Record<string, string[]>> {
  const [server, other] = await Promise.all([startPostgres({ major, replica: true }), startPostgres({ major })]);
  try {
    const sql = await connect(server.url, { applicationName: 'test' });
    await sql.query('CREATE ROLE plain LOGIN');
    await sql.close();
    const replicaUrl = server.replicaUrl ?? '';
    const plainUrl = replicaUrl.replace('postgres@', 'plain@');
    await eventually('the role has been replayed', async () => {
      const asPlain = await connect(plainUrl, { applicationName: 'test' }).catch(() => undefined);
      await asPlain?.close();
      return asPlain !== undefined;
    });
    const verdict = async (source: string, replica: string): Promise<string[]> => {
      const config = busConfig([USER]);
      const regions = new Map([['eu', { name: 'eu', redis: 'redis://127.0.0.1:1', replicas: [replica] }]]);
      const found = complaintsOf(await examine({ ...config, source: { ...config.source, url: source }, regions }));
      return found
        .filter(({ subject }) => subject === 'replica of eu')
        .map(({ level, message }) => `${level} ${message.split(' ').slice(1, 4).join(' ').replace(':', '')}`);
    };
    return {
      replica: await verdict(server.url, replicaUrl),
      'the primary itself': await verdict(server.url, server.url),
      'an ordinary role': await verdict(server.url, plainUrl),
      'another source': await verdict(other.url, replicaUrl),
    };
  } finally {
    await Promise.all([server.stop(), other.stop()]);
  }
}
