import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readColumn } from '../../src/protocol/column-value.ts';

const CASES: readonly (readonly [string, number, string, unknown])[] = [
  ['boolean', 16, 't', true],
  ['int4', 23, '-7', -7],
  ['int8 keeps its digits', 20, '9007199254740993', '9007199254740993'],
  ['numeric keeps its digits', 1700, '0.10', '0.10'],
  ['float8', 701, '1.5', 1.5],
  ['float8 -0 as JSON would carry it back', 701, '-0', 0],
  ['float8 NaN', 701, 'NaN', 'NaN'],
  ['jsonb', 3802, '{"a": [1, null]}', { a: [1, null] }],
  ['json beyond a double, as JSON would carry it back', 114, '[1e999, -0]', [null, 0]],
  ['date', 1082, '2026-02-28', '2026-02-28'],
  ['timestamp', 1114, '2026-02-28 12:00:00.123456', '2026-02-28T12:00:00.123456'],
  ['timestamptz in UTC', 1184, '2026-02-28 12:00:00.123999+05:30', '2026-02-28T06:30:00.123Z'],
  ['timestamptz of full seconds', 1184, '2026-02-28 12:00:00-03', '2026-02-28T15:00:00.000Z'],
  ['timestamptz that JavaScript has no form for', 1184, 'infinity', 'infinity'],
  ['timestamptz before Christ', 1184, '0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00 BC'],
  ['bytea', 17, String.raw`\x00ff`, String.raw`\x00ff`],
  ['int4[]', 1007, '{1,NULL,3}', [1, null, 3]],
  ['int8[]', 1016, '{9007199254740993}', ['9007199254740993']],
  ['text[]', 1009, String.raw`{a,"b c","q\"\\",NULL,"NULL","",é}`, ['a', 'b c', 'q"\\', null, 'NULL', '', 'é']],
  ['an empty array', 1009, '{}', []],
  [
    'nested arrays',
    1007,
    '{{1,2},{3,4}}',
    [
      [1, 2],
      [3, 4],
    ],
  ],
  ['an array with bounds', 1007, '[2:3]={1,2}', [1, 2]],
  ['boolean[]', 1000, '{t,f}', [true, false]],
  ['jsonb[]', 3807, String.raw`{"{\"a\": 1}"}`, [{ a: 1 }]],
  ['timestamptz[]', 1185, '{"2026-02-28 12:00:00+00"}', ['2026-02-28T12:00:00.000Z']],
  ['an enum', 99_999, 'gold', 'gold'],
];

for (const [name, oid, text, value] of CASES)
  test(`a column is read as what JSON carries back equal: ${name}`, () => {
    const read = readColumn(oid, text);
    assert.deepEqual(read, value);
    assert.deepEqual(JSON.parse(JSON.stringify(read)), read);
    assert.ok(!Object.is(read, -0));
  });
