import assert from 'node:assert/strict';
import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { readTokenAfterWrite } from '../../src/client/after-write.ts';
import { checkPools } from '../../src/client/pool-check.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { canInstallPackages, installPackages } from '../../src/stack/debian.ts';
import { type GuardedProcess, startGuarded } from '../../src/stack/guarded-process.ts';
import {
  acceptsConnections,
  freePort,
  programInPath,
  temporaryFolder,
  unprivilegedUser,
} from '../../src/stack/place.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { heldPool } from '../support/held-pool.ts';
import { loadOnce } from '../support/source-family.ts';

/** Debian installs it where only root's PATH looks. */
function findPgBouncer(): string | undefined {
  return programInPath('pgbouncer');
}

if (findPgBouncer() === undefined && canInstallPackages())
  await installPackages(['pgbouncer'], () => undefined).catch(() => undefined);
const pgbouncer = findPgBouncer();

describe(
  'sources through PgBouncer',
  { timeout: 120_000, skip: pgbouncer === undefined && 'no pgbouncer here: apt-get install pgbouncer' },
  () => {
    let server: PostgresServer;
    let folder: { readonly path: string; remove(): Promise<void> };
    const bouncers: GuardedProcess[] = [];
    const pools: pg.Pool[] = [];
    let direct: pg.Pool;

    /** A pooler with two sessions to each server. Its users' sessions change hands at each end of a transaction, or of a statement. */
    const startBouncer = async (mode: 'transaction' | 'statement'): Promise<(database: string) => pg.Pool> => {
      const port = await freePort();
      const [primary, replica] = [server.url, server.replicaUrl ?? ''].map((url) => new URL(url).port);
      const file = join(folder.path, `${mode}.ini`);
      const users = join(folder.path, 'users.txt');
      const user = unprivilegedUser();
      await writeFile(users, '"postgres" ""\n');
      await writeFile(
        file,
        `[databases]
primary = host=127.0.0.1 port=${primary} dbname=postgres
replica = host=127.0.0.1 port=${replica} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = 2
server_round_robin = 1
`,
      );
      if (user !== undefined) for (const one of [file, users]) await chown(one, user.uid, user.gid);
      bouncers.push(
        await startGuarded(pgbouncer ?? '', [file], { cwd: folder.path, ...(user === undefined ? {} : { user }) }),
      );
      await eventually('pgbouncer', () => acceptsConnections(port));
      return (database) => {
        const pool = new pg.Pool({ connectionString: `postgres://postgres@127.0.0.1:${port}/${database}`, max: 8 });
        pools.push(pool);
        return pool;
      };
    };
    before(async () => {
      folder = await temporaryFolder('pgbouncer');
      server = await startPostgres({ replica: true });
      direct = new pg.Pool({ connectionString: server.url });
      pools.push(direct);
      await direct.query('create table counter (id int primary key, n int)');
      await direct.query('insert into counter values (1, 7)');
    });
    after(async () => {
      await Promise.all(pools.map((pool) => pool.end()));
      await Promise.all(bouncers.map((one) => one.stop('SIGTERM')));
      await server.stop();
      await folder.remove();
    });

    const family = (session: string): { readonly source: string } => ({
      source: `select n, pg_backend_pid() as ${session} from counter where id = {id}`,
    });

    test('in transaction mode the proof is of the session that reads the rows, and evidence comes with every load', async () => {
      const poolOf = await startBouncer('transaction');
      const [primary, replica] = [poolOf('primary'), poolOf('replica')];
      await eventually('the replica', async () => (await checkPools({ primary, replica })).length === 0);
      const onReplica = { ...family('pid'), reads: 'replica' } as const;
      await eventually(
        'the replay',
        async () => (await loadOnce(onReplica, { replica }).catch(() => undefined))?.value != null,
      );
      // Method: ask each session for its pid between the two statements. Many at once, so that sessions do change hands.
      const loads = await Promise.all(
        Array.from({ length: 60 }, async (_, i) => {
          if (i % 2 === 1) return loadOnce(family('pid'), { primary });
          const pids: unknown[] = [];
          const held = heldPool(replica, async (client) => {
            pids.push((await client.query('select pg_backend_pid() as pid, pg_sleep(0.002)')).rows[0].pid);
          });
          const loaded = await loadOnce(onReplica, { replica: held });
          assert.deepEqual(pids, [(loaded.value as { readonly pid: number }).pid]);
          return loaded;
        }),
      );
      assert.deepEqual(new Set(loads.map(({ evidence }) => evidence.kind)), new Set<string>(['replica', 'primary']));
      const pids = new Set(loads.map(({ value }) => (value as { readonly pid: number }).pid));
      assert.ok(pids.size > 2, 'several sessions served');
      assert.equal(replica.idleCount, replica.totalCount);
      const open = `select from pg_stat_activity where state like 'idle in transaction%'`;
      assert.equal((await direct.query(open)).rowCount, 0);
    });

    test('without the transaction another session would answer the second statement: what the proof is kept from', async () => {
      const replica = pools[2];
      assert.ok(replica !== undefined);
      const pidOf = async (client: pg.PoolClient): Promise<number | undefined> =>
        (await client.query<{ pid: number }>('select pg_backend_pid() as pid, pg_sleep(0.005)')).rows[0]?.pid;
      const changed = await Promise.all(
        Array.from({ length: 6 }, async () => {
          const client = await replica.connect();
          let changes = 0;
          for (let i = 0; i < 20; i += 1) if ((await pidOf(client)) !== (await pidOf(client))) changes += 1;
          client.release();
          return changes;
        }),
      );
      assert.ok(changed.some((changes) => changes > 0));
    });

    test('a token is given through it, and none inside a transaction', async () => {
      const primary = pools[1];
      assert.ok(primary !== undefined);
      await readTokenAfterWrite(primary);
      const client = await primary.connect();
      await client.query('begin');
      await assert.rejects(readTokenAfterWrite(client), (error) => isBusError(error, 'POSTGRES_IN_TRANSACTION'));
      await client.query('rollback');
      await readTokenAfterWrite(client);
      client.release();
    });

    test('in statement mode a replica is refused by PgBouncer itself, with a code, and the primary is read', async () => {
      const poolOf = await startBouncer('statement');
      const [primary, replica] = [poolOf('primary'), poolOf('replica')];
      await assert.rejects(loadOnce({ ...family('pid'), reads: 'replica' }, { replica }), (error) => isBusError(error));
      assert.deepEqual((await loadOnce(family('pid'), { primary })).evidence, { kind: 'primary', timeline: 1 });
    });
  },
);
