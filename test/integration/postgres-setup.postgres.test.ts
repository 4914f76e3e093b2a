import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { applySetup } from '../../src/cli/setup/apply.ts';
import { readSetupFacts } from '../../src/cli/setup/facts.ts';
import { planSetup } from '../../src/cli/setup/plan.ts';
import type { SetupPlan, SetupWish } from '../../src/cli/setup/wish.ts';
import { readTables } from '../../src/drivers/postgres/catalog.ts';
import { connect } from '../../src/drivers/postgres/connection.ts';
import { openReplicationStream } from '../../src/drivers/postgres/open-stream.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { RecordedStream, type SourceFixture, sourceFixture } from '../support/source-fixture.ts';

const SLOT_IDENTITY = '0123abcd';

for (const major of [15, 18] as const) {
  describe(`setup on PostgreSQL ${major}`, { timeout: 120_000 }, () => {
    let server: PostgresServer;
    let fixture: SourceFixture;
    before(async () => {
      server = await startPostgres({ major });
    });
    after(async () => {
      await server.stop();
    });
    beforeEach(async () => {
      fixture = await sourceFixture(server.url);
    });
    afterEach(async () => {
      await fixture.close();
    });

    function wish(tables: Readonly<Record<string, readonly string[]>>, more: Partial<SetupWish> = {}): SetupWish {
      const { schema } = fixture;
      return {
        bus: schema,
        publication: `${schema}_pub`,
        slotPrefix: schema,
        tables: Object.entries(tables).map(([name, keyColumns]) => ({ schema, name, keyColumns })),
        eventTrigger: false,
        hasBuffers: false,
        repairIdentity: true,
        ...more,
      };
    }

    async function plan(wish: SetupWish): Promise<SetupPlan> {
      return planSetup(wish, await readSetupFacts(fixture.sql, wish), SLOT_IDENTITY);
    }

    /** Plans and applies, and insists that there is nothing left to do. */
    async function setUp(wish: SetupWish): Promise<SetupPlan> {
      const applied = await plan(wish);
      await applySetup(fixture.sql, applied);
      assert.deepEqual((await plan(wish)).steps, [], 'a second plan must be empty');
      return applied;
    }

    /** What the application does all day, on a connection of its own. Every table here has `id` and `org`. */
    async function applicationWorks(...tables: readonly string[]): Promise<void> {
      const app = await connect(server.url, { applicationName: 'application' });
      try {
        await app.query(`SET search_path = ${fixture.schema}`);
        for (const table of tables) {
          await app.query(`INSERT INTO ${table} (id, org) VALUES (1, 1), (2, 2)`);
          await app.query(`UPDATE ${table} SET org = 3 WHERE id = 1`);
          await app.query(`UPDATE ${table} SET id = 4 WHERE id = 1`);
          await app.query(`DELETE FROM ${table}`);
        }
      } finally {
        await app.close();
      }
    }

    async function identityOf(name: string): Promise<string | undefined> {
      const { schema } = fixture;
      const tables = await readTables(fixture.sql, [{ schema, name }]);
      return tables.get(`${schema}.${name}`)?.identity.setting;
    }

    async function listed(): Promise<Record<string, readonly string[] | null>> {
      const { publication } = await readSetupFacts(fixture.sql, wish({}));
      return Object.fromEntries((publication?.tables ?? []).map(({ name, columns }) => [name, columns]));
    }

    const COLUMNS = 'id int, org int, name text';

    test('publishes the key columns and the identity of a table with a primary key, and the application works', async () => {
      await fixture.run(`CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`);
      const { refusals, notes } = await setUp(wish({ t: ['id'] }));
      assert.deepEqual([refusals, notes], [[], []]);
      assert.deepEqual(await listed(), { t: ['id'] });
      await applicationWorks('t');
    });

    test('gives FULL to a table whose key lies outside its primary key, together with the list, and the application works', async () => {
      await fixture.run(`CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`);
      await setUp(wish({ t: ['id'] }));
      await applicationWorks('t');
      await setUp(wish({ t: ['org'] }));
      assert.equal(await identityOf('t'), 'full');
      assert.deepEqual(await listed(), { t: null });
      await applicationWorks('t');
    });

    test('keeps an identity that is too small where it is told to, says so, and the application works', async () => {
      await fixture.run(`CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`);
      const { notes } = await setUp(wish({ t: ['org'] }, { repairIdentity: false }));
      assert.match(notes.join(), /lacks org/);
      assert.equal(await identityOf('t'), 'default');
      assert.deepEqual(await listed(), { t: ['id', 'org'] });
      await applicationWorks('t');
    });

    test('lists no columns of a table that has FULL, and the identity of one that has it by index, and the application works', async () => {
      await fixture.run(
        `CREATE TABLE f (${COLUMNS}, PRIMARY KEY (id))`,
        'ALTER TABLE f REPLICA IDENTITY FULL',
        `CREATE TABLE i (${COLUMNS}, code uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE, PRIMARY KEY (id))`,
        'ALTER TABLE i REPLICA IDENTITY USING INDEX i_code_key',
      );
      await setUp(wish({ f: ['id'], i: ['code'] }));
      assert.deepEqual(await listed(), { f: null, i: ['code'] });
      await applicationWorks('f', 'i');
      await setUp(wish({ f: ['id'], i: ['id'] }));
      assert.deepEqual(await listed(), { f: null, i: null });
      await applicationWorks('f', 'i');
    });

    test('repairs each partition by itself, and the application works on root, leaf, and a leaf made later', async () => {
      await fixture.run(
        `CREATE TABLE p (${COLUMNS}, PRIMARY KEY (id)) PARTITION BY RANGE (id)`,
        'CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (3)',
        'CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (3) TO (100) PARTITION BY RANGE (id)',
        'CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (3) TO (50)',
      );
      await setUp(wish({ p: ['org'] }));
      assert.deepEqual([await identityOf('p1'), await identityOf('p2a')], ['full', 'full']);
      assert.deepEqual(await listed(), { p: null });
      await applicationWorks('p');
      await fixture.run('CREATE TABLE p2b PARTITION OF p2 FOR VALUES FROM (50) TO (100)');
      await applicationWorks('p');
      await fixture.run('INSERT INTO p VALUES (60, 1)', 'UPDATE p2b SET org = 2', 'DELETE FROM p2b');
      await setUp(wish({ p: ['org'], p1: ['id'] }));
      assert.deepEqual(await listed(), { p: null });
      assert.equal(await identityOf('p2b'), 'full');
      await applicationWorks('p');
    });

    test('publishes who inherits by its own identity, and the application works', async () => {
      await fixture.run(
        `CREATE TABLE parent (${COLUMNS}, PRIMARY KEY (id))`,
        'CREATE TABLE child (code int PRIMARY KEY DEFAULT 1) INHERITS (parent)',
      );
      await setUp(wish({ parent: ['id'] }, { repairIdentity: false }));
      assert.deepEqual(await listed(), { child: ['id', 'code'], parent: ['id'] });
      await applicationWorks('parent');
      await fixture.run('INSERT INTO child VALUES (7, 7)', 'UPDATE parent SET org = 8', 'DELETE FROM parent');
    });

    test('refuses a table without identity with the commands that repair it, and its UPDATE and DELETE still work', async () => {
      await fixture.run(`CREATE TABLE none (${COLUMNS})`, `CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`);
      await fixture.run(`CREATE TABLE late (${COLUMNS}, PRIMARY KEY (id) DEFERRABLE)`);
      const { refusals } = await setUp(wish({ none: ['id'], t: ['id'], late: ['id'] }));
      const { schema } = fixture;
      assert.deepEqual(
        refusals.map(({ subject }) => subject),
        [`${schema}.none`, `${schema}.late`],
      );
      assert.deepEqual(await listed(), { t: ['id'] });
      await applicationWorks('none', 't', 'late');
      const repair = refusals[0]?.repair.find((command) => command.includes('FULL'));
      await fixture.run(repair ?? '');
      await setUp(wish({ none: ['id'], t: ['id'] }));
      assert.deepEqual(await listed(), { none: null, t: ['id'] });
      await applicationWorks('none', 't');
    });

    test('refuses what has no changes in the log, and what is not there', async () => {
      await fixture.run(
        `CREATE TABLE base (${COLUMNS}, twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id))`,
        'CREATE VIEW v AS SELECT * FROM base',
        'CREATE MATERIALIZED VIEW m AS SELECT * FROM base',
        `CREATE UNLOGGED TABLE u (${COLUMNS}, PRIMARY KEY (id))`,
        `CREATE TABLE bare (${COLUMNS}) PARTITION BY RANGE (id)`,
      );
      const tables = { v: ['id'], m: ['id'], u: ['id'], bare: ['id'], gone: ['id'], base: ['twice'] };
      const { refusals } = await setUp(wish(tables));
      const { schema } = fixture;
      assert.deepEqual(refusals.map(({ subject, why }) => `${subject} ${why}`).toSorted(), [
        `${schema}.bare without a primary key its future partitions would refuse every UPDATE and DELETE`,
        `${schema}.base its column "twice" is generated, and the stream carries no generated columns`,
        `${schema}.gone it does not exist`,
        `${schema}.m it is a view: name the tables that it reads`,
        `${schema}.u ${schema}.u is unlogged, so its changes are not in the log`,
        `${schema}.v it is a view: name the tables that it reads`,
      ]);
      assert.deepEqual(await listed(), {});
      await applicationWorks('base', 'u');
    });

    test('follows the file and the table: a table removed, a column added to the key, a primary key changed', async () => {
      await fixture.run(
        `CREATE TABLE a (${COLUMNS}, PRIMARY KEY (id))`,
        `CREATE TABLE b (${COLUMNS}, PRIMARY KEY (id))`,
      );
      await setUp(wish({ a: ['id'], b: ['id'] }));
      await setUp(wish({ a: ['id'] }));
      assert.deepEqual(await listed(), { a: ['id'] });
      await applicationWorks('a', 'b');
      await fixture.run('ALTER TABLE a DROP CONSTRAINT a_pkey, ADD PRIMARY KEY (id, org)');
      await setUp(wish({ a: ['id', 'org'] }));
      assert.deepEqual(await listed(), { a: ['id', 'org'] });
      await applicationWorks('a', 'b');
      await fixture.run('ALTER TABLE a ADD COLUMN extra int, DROP COLUMN name');
      await setUp(wish({ a: ['extra'] }));
      assert.deepEqual(await listed(), { a: null });
      await applicationWorks('a', 'b');
      await setUp(wish({}));
      assert.deepEqual(await listed(), {});
      await applicationWorks('a', 'b');
    });

    test('puts right a publication that filters rows, hides operations or goes by the root', async () => {
      await fixture.run(
        `CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`,
        `CREATE PUBLICATION ${fixture.schema}_pub FOR TABLE t WHERE (id > 5), TABLES IN SCHEMA ${fixture.schema}
           WITH (publish = 'insert', publish_via_partition_root = true)`,
      );
      await setUp(wish({ t: ['id'] }));
      const { publication } = await readSetupFacts(fixture.sql, wish({}));
      const { publishesAll, viaPartitionRoot, schemas } = publication ?? {};
      assert.deepEqual([publishesAll, viaPartitionRoot, schemas], [true, false, []]);
      await applicationWorks('t');
    });

    test('does nothing to a publication of all tables, and says why', async () => {
      await fixture.run(`CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`);
      await fixture.run(`CREATE PUBLICATION ${fixture.schema}_pub FOR ALL TABLES`);
      const { steps, refusals } = await plan(wish({ t: ['id'] }));
      assert.match(refusals[0]?.why ?? '', /FOR ALL TABLES/);
      assert.deepEqual(
        steps.map(({ title }) => title),
        [`Make the replication slot ${fixture.schema}_${SLOT_IDENTITY}`],
      );
      await fixture.run(`DROP PUBLICATION ${fixture.schema}_pub`);
    });

    test('gives up an identity that it cannot lock, and leaves nothing half done', async () => {
      await fixture.run(`CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`);
      const holder = await connect(server.url, { applicationName: 'holder' });
      await holder.query('BEGIN');
      await holder.query(`SELECT * FROM ${fixture.schema}.t`);
      const wished = wish({ t: ['org'] });
      const made = await plan(wished);
      await assert.rejects(applySetup(fixture.sql, made), (error) => isBusError(error, 'POSTGRES_TIMEOUT'));
      assert.deepEqual([await identityOf('t'), await listed()], ['default', {}]);
      await holder.query('COMMIT');
      await setUp(wished);
      await applicationWorks('t');
      await holder.close();
    });

    test('streams what it has set up: rows with their old keys, from a slot that is younger than its publication', async () => {
      await fixture.run(`CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`);
      const wished = wish({ t: ['org'] });
      await setUp(wished);
      const { slots } = await readSetupFacts(fixture.sql, wished);
      assert.deepEqual(
        slots.map(({ identity, mayPrecedePublication, failover }) => [identity, mayPrecedePublication, failover]),
        [[SLOT_IDENTITY, false, major >= 17 ? true : null]],
      );
      const recorded = await streamOf(wished);
      await fixture.run(`INSERT INTO t VALUES (1, 7, 'x')`, 'UPDATE t SET org = 8', 'DELETE FROM t');
      const table = `${fixture.schema}.t`;
      assert.deepEqual(await recorded.changes(3), [
        { call: 'insert', table, row: ['1', '7', 'x'] },
        { call: 'update', table, old: ['1', '7', 'x'], oldKind: 'full', row: ['1', '8', 'x'] },
        { call: 'delete', table, old: ['1', '8', 'x'], oldKind: 'full' },
      ]);
      await recorded.stream.stop();
    });

    test('reports DDL of named tables and of their partitions, in its own transaction, and DDL of others not', async () => {
      await fixture.run(
        `CREATE TABLE t (${COLUMNS}, PRIMARY KEY (id))`,
        `CREATE TABLE p (${COLUMNS}, PRIMARY KEY (id)) PARTITION BY RANGE (id)`,
        'CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)',
        `CREATE TABLE p2 (${COLUMNS}, PRIMARY KEY (id))`,
        'CREATE TABLE other (id int)',
      );
      const wished = wish({ t: ['id'], p: ['id'] }, { eventTrigger: true });
      await setUp(wished);
      const recorded = await streamOf(wished);
      const { schema } = fixture;
      const commands: readonly (readonly [string, readonly string[] | undefined])[] = [
        ['ALTER TABLE t ADD COLUMN extra int', ['t']],
        ['ALTER TABLE other ADD COLUMN extra int', undefined],
        ['CREATE TABLE another (id int)', undefined],
        ['ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)', ['p']],
        ['ALTER TABLE p2 ADD CONSTRAINT positive CHECK (id > 0)', ['p']],
        ['ALTER TABLE p DETACH PARTITION p2', ['p']],
        ['DROP TABLE p1', ['p']],
        ['DROP TABLE t', ['t']],
      ];
      for (const [command] of commands) await fixture.run(command);
      await fixture.run(`SELECT pg_logical_emit_message(true, 'afterwrite', 'end')`);
      const expected = commands.flatMap(([, tables]) =>
        tables === undefined ? [] : [JSON.stringify({ tables: tables.map((name) => `${schema}.${name}`) })],
      );
      await recorded.messages((contents) => contents.at(-1) === 'end');
      const contents = await recorded.messages(() => true);
      assert.deepEqual(
        contents.map((content) => content.replaceAll(' ', '')),
        [...expected, 'end'],
      );
      await recorded.stream.stop();
      await setUp(wish({ p: ['id'] }));
      await fixture.run('ALTER TABLE p ADD COLUMN extra int');
    });

    async function streamOf({ publication, slotPrefix, bus }: SetupWish): Promise<RecordedStream> {
      const slotName = `${slotPrefix}_${SLOT_IDENTITY}`;
      const options = { url: server.url, bus, slotName, publications: [publication] };
      return new RecordedStream(await openReplicationStream(options));
    }
  });
}
