import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { type CliRun, runCli } from '../support/cli.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SCHEMA = `
  create type plan as enum ('free', 'paid');
  create domain email as text not null;
  create table users (id int primary key, uid uuid not null, name varchar(20), plan plan not null, mail email, big bigint not null,
    price numeric not null, at timestamptz not null, day date, extra jsonb not null, labels text[] not null, score real not null);
  create table orgs (id int primary key, name text not null);
  create schema app; create table app.settings (id int primary key, on_ boolean not null);
  create role app_user login; alter role app_user set search_path = app, public; grant usage on schema app to app_user;
  grant select on all tables in schema app, public to app_user`;

const FAMILIES = {
  user: {
    key: 'user:{id}',
    ttl: '10m',
    source: "select *, 1 as one, '{x}' as note from users where id = {id} -- {not a parameter}",
    on: { users: { id: 'id' } },
  },
  'by-uid': { key: 'uid:{uid}:{kind}', ttl: '10m', rows: 'many', source: 'select id from users where uid = {uid}' },
  joined: {
    key: 'joined:{id}',
    ttl: '10m',
    source: 'select u.id, o.name from users u left join orgs o on o.id = u.id where u.id = {id}',
    on: { users: { id: 'id' } },
  },
  settings: {
    key: 'settings:{id}',
    ttl: '10m',
    source: 'select on_ from settings where id = {id}',
    on: { 'app.settings': { id: 'id' } },
  },
  quote: { key: 'quote:{id}', ttl: '10m', load: true },
};

const BUFFER = { redis: 'redis://127.0.0.1:1', loss: { process: '50ms', redis: 'none' } };
const BUFFERS = {
  scores: { ...BUFFER, kind: 'counter', table: 'users', key: ['uid', 'big'], column: 'score' },
  people: {
    ...BUFFER,
    kind: 'buffer',
    table: 'users',
    key: ['id'],
    columns: ['at', 'day', 'extra', 'labels', 'mail', 'price'],
  },
  log: { ...BUFFER, kind: 'counter', statement: 'insert into log select id, n from batch', key: ['id'] },
};

describe('afterwrite config types', { timeout: 120_000 }, () => {
  let server: PostgresServer;
  let sql: Connection;
  let folder: string;
  before(async () => {
    server = await startPostgres();
    sql = await connect(server.url, { applicationName: 'test' });
    await sql.query('set search_path = public');
    for (const statement of SCHEMA.split(';')) await sql.query(statement);
    await mkdir(join(ROOT, 'node_modules', '.cache'), { recursive: true });
    folder = await mkdtemp(join(ROOT, 'node_modules', '.cache', 'afterwrite-types-'));
  });
  after(async () => {
    await sql.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const run = async (families: unknown, ...args: readonly string[]): Promise<CliRun> => {
    const path = join(folder, 'afterwrite.yaml');
    const url = new URL(server.url);
    url.username = 'app_user';
    await writeFile(
      path,
      stringify({
        bus: 't',
        source: { url: url.href },
        log: { redisStreams: { url: 'redis://127.0.0.1:1' } },
        regions: { eu: { redis: 'redis://127.0.0.1:1' } },
        families,
        buffers: BUFFERS,
      }),
    );
    return runCli(['config', 'types', '--config', path, ...args]);
  };

  test('prints keys by the catalog and values by the source’s columns, nullable unless the table says otherwise', async () => {
    const { code, out, err } = await run(FAMILIES);
    assert.equal(code, 0, err);
    const floats = "number | 'NaN' | 'Infinity' | '-Infinity'";
    for (const part of [
      `    user: {
      params: { id: bigint | number | string };
      value: { id: number; uid: string; name: string | null; plan: string; mail: string | null; big: string; price: string; at: string; day: string | null; extra: unknown; labels: (string | null)[]; score: ${floats}; one: number | null; note: string | null };
    };`,
      `    "by-uid": {
      params: { uid: bigint | boolean | number | string; kind: bigint | boolean | number | string };
      value: { id: number }[];
    };`,
      '      value: { id: number | null; name: string | null };',
      '      value: { on_: boolean };',
      `    quote: {
      params: { id: bigint | boolean | number | string };
      value: unknown;
    };`,
      `  interface Buffers {
    scores: {
      kind: 'counter';
      params: { uid: string; big: bigint | number | string };
    };
    people: {
      kind: 'buffer';
      params: { id: bigint | number | string };
      row: { at: Date | string; day: Date | string | null; extra: object | string; labels: string; mail: string | null; price: bigint | number | string };
    };
    log: {
      kind: 'counter';
      params: { id: bigint | boolean | number | string };
    };
  }
}
`,
    ])
      assert.ok(out.includes(part), `${part}\n--- is not in\n${out}`);
  });

  test('what is written compiles, and tells TypeScript the families of the package', async () => {
    const file = join(folder, 'families.d.ts');
    const { code, out } = await run(FAMILIES, '--out', file);
    assert.deepEqual([code, out], [0, `${file}: the types of 5 families and 3 buffers\n`]);
    assert.ok((await readFile(file, 'utf8')).startsWith('// Written by'));
    await mkdir(join(folder, 'node_modules', 'afterwrite'), { recursive: true });
    await writeFile(
      join(folder, 'node_modules', 'afterwrite', 'package.json'),
      '{ "name": "afterwrite", "version": "1.0.0", "types": "index.d.ts" }',
    );
    await writeFile(
      join(folder, 'node_modules', 'afterwrite', 'index.d.ts'),
      'export interface Families {}\nexport interface Buffers {}\n',
    );
    const compile = async (body: string): Promise<string> => {
      await writeFile(join(folder, 'use.ts'), `import type { Families } from 'afterwrite';\n${body}\n`);
      const args = ['--ignoreConfig', '--noEmit', '--strict', '--module', 'nodenext', join(folder, 'use.ts'), file];
      return promisify(execFile)(join(ROOT, 'node_modules', '.bin', 'tsc'), args).then(
        () => '',
        (error: unknown) => (error as { readonly stdout: string }).stdout,
      );
    };
    assert.equal(
      await compile(`export const key: Families['user']['params'] = { id: 42n };
        export const shown = (user: Families['user']['value']): string => user.uid + (user.name ?? '');`),
      '',
    );
    const wrong = `export const shown = (user: Families['user']['value']): string => user.name;`;
    assert.match(await compile(wrong), /'string \| null' is not assignable to type 'string'/);
  });

  test('a source that Postgres refuses is named, with what it says', async () => {
    const { code, err } = await run({
      user: {
        key: 'user:{id}',
        ttl: '1m',
        source: 'select nothing from users where id = {id}',
        on: { users: { id: 'id' } },
      },
    });
    assert.ok(code !== 0);
    assert.match(err, /SOURCE_INVALID \(families\.user\.source\).*"nothing" does not exist/);
  });
});
