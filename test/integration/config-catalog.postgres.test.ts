import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type CatalogVerdict, checkCatalog, ruleTables } from '../../src/config/catalog-check.ts';
import { readTables } from '../../src/drivers/postgres/catalog.ts';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { keyTypeOfOid, printKeyParameter } from '../../src/protocol/key-parameter.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { expectConfig, parseExample, parseFamilies } from '../support/config-text.ts';

const SHOP = readFileSync(new URL('../../examples/shop/schema.sql', import.meta.url), 'utf8');

/** Tables that no rule can follow, each with what is said of it. */
const UNFIT: readonly (readonly [name: string, sql: string, said: RegExp])[] = [
  ['a_view', 'create view a_view as select 1 as id', /public\.a_view is a view/],
  ['a_foreign', 'create foreign table a_foreign (id int) server elsewhere', /public\.a_foreign is a foreign table/],
  ['no_log', 'create unlogged table no_log (id int primary key)', /public\.no_log is unlogged/],
  ['no_identity', 'create table no_identity (id int)', /public\.no_identity has no replica identity/],
  ['a_domain', 'create table a_domain (id positive primary key)', /of type a domain over int4/],
  ['padded', 'create table padded (id char(8) primary key)', /of type bpchar, which has no canonical text/],
  ['a_moment', 'create table a_moment (id timestamptz primary key)', /of type timestamptz/],
  ['loose', 'create table loose (id text collate any_case primary key)', /nondeterministic collation/],
  ['computed', 'create table computed (n int primary key, id int generated always as (n + 1) stored)', /is generated/],
  [
    'in_part',
    'create table in_part (id int, n int) partition by list (n); create foreign table in_part_1 partition of in_part for values in (1) server elsewhere',
    /public\.in_part_1, a part of it, is a foreign table/,
  ],
];

for (const major of [15, 18] as const) {
  describe(`the file against the catalog of PostgreSQL ${major}`, { timeout: 120_000 }, () => {
    let server: PostgresServer;
    let sql: Connection;
    before(async () => {
      server = await startPostgres({ major });
      sql = await connect(server.url, { applicationName: 'test' });
      await sql.query('set search_path = public');
    });
    after(async () => {
      await sql.close();
      await server.stop();
    });

    const check = async (families: string): Promise<CatalogVerdict> => {
      const config = expectConfig(parseFamilies(families));
      return checkCatalog(config, await readTables(sql, ruleTables(config)));
    };

    test('the example fits its schema but for the identity that its comment names, and setup’s repair mends that', async () => {
      await sql.query(SHOP);
      const config = expectConfig(parseExample());
      const before = checkCatalog(config, await readTables(sql, ruleTables(config)));
      assert.deepEqual(before.faults, []);
      assert.deepEqual(
        before.warnings.map(({ path }) => path),
        ['families.org-members.on.users'],
      );
      assert.deepEqual([...before.parameterTypes.values()], [['integer'], ['integer'], ['uuid'], ['integer']]);
      await sql.query('alter table users replica identity full');
      const after = checkCatalog(config, await readTables(sql, ruleTables(config)));
      assert.deepEqual([after.faults, after.warnings], [[], []]);
    });

    test('what cannot be followed or printed is refused, and nothing else is said of it', async () => {
      await sql.query(`create foreign data wrapper nowhere; create server elsewhere foreign data wrapper nowhere;
        create domain positive as int check (value > 0);
        create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
      for (const [name, ddl, said] of UNFIT) {
        await sql.query(ddl);
        const verdict = await check(`families: { f: { key: "f:{id}", ttl: 1m, on: { ${name}: { id: id } } } }`);
        assert.equal(verdict.faults.length, 1, `${name}: ${JSON.stringify(verdict)}`);
        assert.ok(
          verdict.faults.some(({ message, path }) => path === `families.f.on.${name}` && said.test(message)),
          `${name}: ${JSON.stringify(verdict)}`,
        );
      }
    });

    test('what an application passes prints as what Postgres prints of the same value', async () => {
      const uuid = '6f1c0f5e-5d1e-4f0b-9d56-3f6f4c1f2a10';
      const forms: readonly (readonly [sqlType: string, passed: readonly unknown[]])[] = [
        [
          'uuid',
          [uuid, uuid.toUpperCase(), `{${uuid}}`, uuid.replaceAll('-', ''), '6f1c-0f5e-5d1e-4f0b-9d56-3f6f-4c1f-2a10'],
        ],
        ['bigint', [42, 42n, '42', '+42', '0042', '-0', -9223372036854775808n, '9223372036854775807', 2 ** 53 - 1]],
        ['integer', [0, -7, '2147483647']],
        ['smallint', [-32768, '7']],
        ['boolean', [true, false, 't', 'f', 'true', 'false']],
        ['date', ['2026-02-28', '0044-03-15 BC', '10191-01-01', '0099-12-31', 'infinity', '-infinity']],
        ['text', ['', 'a:b{c}é %', ' ', 'Ä日😀', '\'\\"\n']],
        ['varchar', ['a/b', 'AB12']],
      ];
      for (const [type, passed] of forms) {
        for (const value of passed) {
          const [row] = await sql.query<{ text: string; oid: number }>(
            `select $1::${type}::text as text, '${type}'::regtype::oid::int as oid`,
            [String(value)],
          );
          const keyType = keyTypeOfOid(row?.oid ?? 0);
          assert.ok(keyType !== undefined, type);
          // The stream prints a boolean as t or f, where a cast to text prints the word.
          const printed = keyType === 'boolean' ? row?.text.slice(0, 1) : row?.text;
          assert.equal(
            printKeyParameter(keyType, value),
            printKeyParameter(keyType, printed),
            `${type} ${String(value)}`,
          );
        }
      }
    });
  });
}
