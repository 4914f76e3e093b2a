import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSource, sourceQuery } from '../../src/client/source-query.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import type { KeyType } from '../../src/protocol/key-parameter.ts';
import { parseSource } from '../../src/protocol/source-template.ts';

const query = (
  source: string,
  types: Readonly<Record<string, KeyType>> = {},
  params: Readonly<Record<string, unknown>> = {},
): { readonly text: string; readonly values: readonly string[] } =>
  sourceQuery(readSource('user', source), new Map(Object.entries(types)), params);

test('a parameter becomes a numbered one, cast to its type, and its value the canonical text', () => {
  assert.deepEqual(
    query(
      'select * from t where id = {id} and org = {org} or parent = {id}',
      { id: 'integer', org: 'uuid' },
      { id: 42n, org: '6F1C0F5E-5D1E-4F0B-9D56-3F6F4C1F2A10' },
    ),
    {
      text: 'select * from t where id = $1::int8 and org = $2::uuid or parent = $1::int8',
      values: ['42', '6f1c0f5e-5d1e-4f0b-9d56-3f6f4c1f2a10'],
    },
  );
});

test('a text is sent as it is: what a key escapes, Postgres must not see', () => {
  const { text, values } = query('select {a}, {b}', { a: 'text', b: 'date' }, { a: 'a:b/%é', b: '0044-03-15 BC' });
  assert.deepEqual([text, values], ['select $1::text, $2::date', ['a:b/%é', '0044-03-15 BC']]);
});

test('a parameter whose type no rule tells is left to Postgres', () => {
  const given = { a: 'x', b: 7, c: 8n, d: true };
  const { text, values } = query('select {a}, {b}, {c}, {d}', {}, given);
  assert.deepEqual([text, values], ['select $1, $2, $3, $4', ['x', '7', '8', 'true']]);
});

test('a value that has no canonical form, or is missing, is refused', () => {
  for (const [types, params] of [
    [{ id: 'integer' }, { id: 'x' }],
    [{ id: 'integer' }, {}],
    [{}, {}],
    [{}, { id: null }],
    [{}, { id: Number.NaN }],
    [{}, { id: { a: 1 } }],
  ] as const)
    assert.throws(
      () => query('select {id}', types, params),
      (error) => isBusError(error, 'KEY_PARAMETER_INVALID'),
    );
});

const IGNORED = [
  `select '{a}', 'it''s {b}' as x`,
  `select "{a}" from "odd""{b}"`,
  `select 1 -- {a}\n, 2`,
  `select 1 /* {a} /* {b} */ {c} */`,
  'select $${a}$$, $tag$ $$ {b} $x$ $tag$',
  String.raw`select E'\'{a}', e'\\' as y`,
  `select '{1,2}'::int[], U&'{x}', B'1', X'1F'`,
  String.raw`select 'a\' || "x$"`,
  `select a$b$c from t`,
];

for (const source of IGNORED)
  test(`braces in quotes and comments mean themselves: ${source.replaceAll('\n', '\\n')}`, () => {
    const result = parseSource(source);
    assert.deepEqual(result, { kind: 'template', template: { literals: [source], parameters: [] } });
  });

test('what follows a quote is read again', () => {
  const { text } = query(
    String.raw`select 'a\' as b, typee'{no}' where x = {id} -- '` + '\n and $q${no}$q$ = {id}/*{no}*/',
    {},
    { id: '1' },
  );
  assert.equal(text, String.raw`select 'a\' as b, typee'{no}' where x = $1 -- '` + '\n and $q${no}$q$ = $1/*{no}*/');
});

test('one semicolon at the end is dropped, with what may follow it', () => {
  assert.equal(query('select 1 ; -- done').text, 'select 1  -- done');
  assert.equal(query("select ';';\n").text, "select ';'\n");
});

const FAULTS: readonly (readonly [string, RegExp])[] = [
  ['select {0}', /brace/],
  ['select {a b}', /brace/],
  ['select 1 }', /brace/],
  ['select {', /brace/],
  ["select 'a", /quotation is not closed/],
  ['select "a', /quotation is not closed/],
  [String.raw`select E'\'`, /quotation is not closed/],
  ['select $$a$', /quotation is not closed/],
  ['select $q$a$$', /quotation is not closed/],
  ['select /* /* */', /comment is not closed/],
  ['select $1', /given out by the client/],
  ['select 1; select 2', /one statement/],
  ["select 1; 'x'", /one statement/],
  [' ; ', /empty/],
];

for (const [source, fault] of FAULTS)
  test(`is refused with the reason: ${source}`, () => {
    assert.throws(
      () => readSource('user', source),
      (error) => isBusError(error, 'SOURCE_INVALID') && fault.test(error.message) && error.message.includes('"user"'),
    );
  });
