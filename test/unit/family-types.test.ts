import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyTypes } from '../../src/cli/family-types.ts';

test('prints keys by the catalog’s types and values by the source’s columns', () => {
  const text = familyTypes([
    {
      name: 'org-members',
      params: [
        { name: 'org_id', type: 'integer' },
        { name: 'kind', type: undefined },
      ],
      isList: true,
      columns: [
        { name: 'id', typeOid: 23, isNullable: true },
        { name: 'id', typeOid: 20, isNullable: false },
        { name: 'full name', typeOid: 25, isNullable: true },
        { name: 'tags', typeOid: 1009, isNullable: true },
        { name: 'extra', typeOid: 3802, isNullable: true },
        { name: 'score', typeOid: 701, isNullable: false },
      ],
    },
    { name: 'quote', params: [{ name: 'id', type: 'uuid' }], isList: false, columns: undefined },
    { name: 'settings', params: [], isList: false, columns: [{ name: 'at', typeOid: 1184, isNullable: false }] },
  ]);
  assert.ok(text.includes("declare module 'afterwrite' {\n  interface Families {\n"));
  assert.ok(
    text.includes(`    "org-members": {
      params: { org_id: bigint | number | string; kind: bigint | boolean | number | string };
      value: { id: string; "full name": string | null; tags: (string | null)[] | null; extra: unknown; score: number | 'NaN' | 'Infinity' | '-Infinity' }[];
    };
    quote: {
      params: { id: string };
      value: unknown;
    };
    settings: {
      params: {};
      value: { at: string };
    };
  }
}
`),
    text,
  );
});
