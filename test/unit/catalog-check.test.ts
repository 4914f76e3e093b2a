import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CatalogVerdict, checkCatalog, ruleTables } from '../../src/config/catalog-check.ts';
import type { ColumnFacts, TableFacts } from '../../src/config/catalog-facts.ts';
import { expectConfig, parseFamilies } from '../support/config-text.ts';

const OIDS: Readonly<Record<string, number>> = {
  int8: 20,
  int4: 23,
  text: 25,
  uuid: 2950,
  numeric: 1700,
  timestamptz: 1184,
};

function column(name: string, baseType: string, more: Partial<ColumnFacts> = {}): ColumnFacts {
  return { name, typeOid: OIDS[baseType] ?? 0, baseType, isDeterministic: true, ...more };
}

/** A table of schema public with the whole row as its identity. */
function table(name: string, columns: readonly ColumnFacts[], more: Partial<TableFacts> = {}): TableFacts {
  const stored = [{ schema: 'public', name, identity: { columns: columns.map((one) => one.name) } }];
  return { schema: 'public', name, kind: 'table', isUnlogged: false, columns, stored, ...more };
}

const USERS = [column('id', 'int8'), column('org_id', 'int8'), column('name', 'text')];
const ORGS = [column('id', 'int8'), column('name', 'text')];
const FAMILIES = `families:
  user: { key: "user:{id}", ttl: 1m, on: { users: { id: id } }, tags: ["org:{org_id}"] }
  members: { key: "org:{org_id}:members", ttl: 1m, on: { users: { org_id: org_id } } }
tags:
  "org:{id}": { on: { orgs: { id: id } } }
`;

function check(families: string, ...tables: readonly TableFacts[]): CatalogVerdict {
  const byName = new Map(tables.map((one) => [`${one.schema}.${one.name}`, one]));
  return checkCatalog(expectConfig(parseFamilies(families)), byName);
}

function faultsOf(families: string, ...tables: readonly TableFacts[]): string[] {
  return check(families, ...tables).faults.map(({ path, message }) => `${path}: ${message}`);
}

test('a file that fits its database has no fault, and the types of its key parameters', () => {
  const verdict = check(FAMILIES, table('users', USERS), table('orgs', ORGS));
  assert.deepEqual([verdict.faults, verdict.warnings], [[], []]);
  assert.deepEqual(
    [...verdict.parameterTypes],
    [
      ['user', ['integer']],
      ['members', ['integer']],
    ],
  );
  assert.deepEqual(
    ruleTables(expectConfig(parseFamilies(FAMILIES))).map(({ schema, name }) => `${schema}.${name}`),
    ['public.users', 'public.orgs'],
  );
});

test('all faults are told at once, each by the place of its rule', () => {
  assert.deepEqual(faultsOf(FAMILIES, table('users', [column('id', 'numeric')])), [
    'families.user.on.users: column "id" is of type numeric, which has no canonical text: text, varchar, smallint, integer, bigint, uuid, boolean or date is expected',
    'families.members.on.users: public.users has no column "org_id"; it has id',
    'tags.org:{id}.on.orgs: the table public.orgs does not exist in the database',
  ]);
});

test('a table whose changes are not in the log is refused', () => {
  const only = 'families: { f: { key: "f:{id}", ttl: 1m, on: { t: { id: id } } } }';
  const fault = (more: Partial<TableFacts>): string => faultsOf(only, table('t', ORGS, more)).join('|');
  assert.match(fault({ kind: 'view' }), /^families\.f\.on\.t: public\.t is a view: a table is expected/);
  assert.match(fault({ kind: 'foreign' }), /is a foreign table/);
  assert.match(fault({ kind: 'other' }), /is no table/);
  assert.match(fault({ isUnlogged: true }), /is unlogged/);
  const identity = { columns: ['id'] };
  const leaf = { schema: 'public', name: 't_1', identity };
  assert.match(
    fault({ kind: 'partitioned', stored: [{ ...leaf, kind: 'foreign' }] }),
    /t_1, a part of it, is a foreign table/,
  );
  assert.match(fault({ kind: 'partitioned', stored: [{ ...leaf, isUnlogged: true }] }), /public\.t_1 is unlogged/);
});

test('a column that cannot be printed in one way only is refused', () => {
  const only = 'families: { f: { key: "f:{id}", ttl: 1m, on: { t: { id: id } } } }';
  const fault = (one: ColumnFacts): string => faultsOf(only, table('t', [one])).join('|');
  for (const type of ['numeric', 'timestamptz', 'bpchar', 'jsonb', 'citext'])
    assert.match(fault(column('id', type)), new RegExp(`is of type ${type}, which has no canonical text`));
  assert.match(fault(column('id', 'int4', { typeOid: 16_400 })), /is of type a domain over int4/);
  assert.match(fault(column('id', 'text', { isDeterministic: false })), /nondeterministic collation/);
  assert.match(
    fault(column('id', 'int4', { isGenerated: true })),
    /is generated, and the log carries no generated columns/,
  );
  assert.match(fault(column('ID', 'int4')), /public\.t has no column "id"; it has ID/);
});

test('two rules give a parameter in one type', () => {
  const two = 'families: { f: { key: "f:{id}", ttl: 1m, on: { a: { id: id }, b: { a_id: id } } } }';
  assert.deepEqual(faultsOf(two, table('a', ORGS), table('b', [column('a_id', 'text')])), [
    'families.f.on.b: gives {id} as text, and another rule gives it as integer: one type is expected, or their keys print differently',
  ]);
  assert.deepEqual(faultsOf(two, table('a', ORGS), table('b', [column('a_id', 'int4')])), []);
});

test('a replica identity that lacks a key column is warned of, with a repair that breaks nothing', () => {
  const small = [{ schema: 'public', name: 'users', identity: { columns: ['id'] } }];
  const { faults, warnings } = check(FAMILIES, table('users', USERS, { stored: small }), table('orgs', ORGS));
  assert.deepEqual(faults, []);
  assert.deepEqual(
    warnings.map(({ path, repair }) => [path, repair]),
    [['families.members.on.users', 'afterwrite setup']],
  );
  assert.match(warnings[0]?.message ?? '', /identity of public\.users lacks org_id/);
});

test('a table without replica identity is refused, with its repair, on the leaf that lacks it', () => {
  const only = 'families: { f: { key: "f:{id}", ttl: 1m, on: { "Sales.Orders": { id: id } } } }';
  const stored = [
    { schema: 'Sales', name: 'orders_1', identity: { columns: ['id'] } },
    { schema: 'Sales', name: 'Orders 2', identity: { columns: null } },
  ];
  const facts = { ...table('Orders', ORGS, { kind: 'partitioned', stored }), schema: 'Sales' };
  const { faults } = check(only, facts);
  assert.deepEqual(
    faults.map(({ path, repair }) => [path, repair]),
    [['families.f.on.Sales.Orders', 'ALTER TABLE "Sales"."Orders 2" REPLICA IDENTITY FULL']],
  );
});

test('a name that is not there as it is written says how names are written', () => {
  const only = 'families: { f: { key: "f:{id}", ttl: 1m, on: { Users: { id: id } } } }';
  assert.match(
    faultsOf(only, table('users', USERS))[0] ?? '',
    /public\.Users does not exist in the database \(names are in lower case/,
  );
});

test('a table and a part of it are not both named: a change counts for one of them', () => {
  const both =
    'families: { f: { key: "f:{id}", ttl: 1m, on: { t: { id: id } } }, g: { key: "g:{id}", ttl: 1m, on: { t_1: { id: id } } } }';
  const whole = table('t', ORGS, { kind: 'partitioned', descendants: [{ schema: 'public', name: 't_1' }] });
  assert.deepEqual(faultsOf(both, whole, table('t_1', ORGS)), [
    'families.g.on.t_1: public.t_1 is a part of public.t, which another rule names: public.t is expected in both, since a change counts for one of them',
  ]);
});

test('a label of rows that nothing in `on` names is warned of, and one that prints in another type', () => {
  const warnings = (tags: string, orgId: string): string[] => {
    const families = `families: { user: { key: "user:{id}", ttl: 1m, on: { users: { id: id } }, tags: ["${tags}"] } }
tags: { "org:{id}": { on: { orgs: { id: id } } } }`;
    const users = [column('id', 'int8'), column('org_id', orgId)];
    return check(families, table('users', users), table('orgs', ORGS)).warnings.map(
      ({ path, message }) => `${path}: ${message}`,
    );
  };
  assert.deepEqual(warnings('org:{org_id}', 'int8'), []);
  assert.match(
    warnings('org:{order_id}', 'int8').join('|'),
    /^families\.user\.tags\.0: "org:\{order_id\}" labels the entry by rows of a table that `on` does not name \(none there has order_id\)/,
  );
  assert.match(
    warnings('org:{org_id}', 'text').join('|'),
    /^families\.user\.tags\.0: \{org_id\} is text here, and the tag’s rule gives it as integer/,
  );
});
