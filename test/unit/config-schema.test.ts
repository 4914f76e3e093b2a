import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { configManual } from '../../src/config/config-manual.ts';
import { fileJsonSchema } from '../../src/config/file-schema.ts';
import { EXAMPLE } from '../support/config-text.ts';

type File = Record<string, Record<string, unknown>>;

const validate = new Ajv2020().compile(fileJsonSchema());
const isRight = (change: (file: File) => unknown): boolean => {
  const file = parse(EXAMPLE) as File;
  change(file);
  return validate(file);
};

test('an editor takes the example for right, variables and all, and a part of a file that is joined', () => {
  assert.ok(
    isRight(() => undefined),
    JSON.stringify(validate.errors),
  );
  assert.ok(validate({ families: { f: { key: 'f:{id}', ttl: '5m' } } }));
  assert.ok(
    isRight((file) => Object.assign(file, { observe: '${OBSERVE}', limits: { keysPerTransactionMax: '${KEYS}' } })),
  );
});

test('an editor marks what the file may not hold', () => {
  const wrong: Readonly<Record<string, (file: File) => unknown>> = {
    'an unknown section': (file) => (file['familys'] = {}),
    'an unknown key': (file) => Object.assign(file['families']?.['user'] as object, { whenchanged: 'evict' }),
    'a name that is none': (file) => Object.assign(file['families'] ?? {}, { 'a b': { key: 'x', ttl: '1m' } }),
    'a variable as a name': (file) => Object.assign(file['regions'] ?? {}, { '${EU}': { redis: 'redis://r' } }),
    'a family without ttl': (file) => Object.assign(file['families'] ?? {}, { user: { key: 'user:{id}' } }),
    'a ttl without unit': (file) => Object.assign(file['families']?.['user'] as object, { ttl: 300 }),
    'another act': (file) => Object.assign(file['families']?.['user'] as object, { 'when-changed': 'purge' }),
    'a URL of another kind': (file) => (file['source'] = { url: 'mysql://db' }),
    'no log': (file) => (file['log'] = {}),
    'two logs': (file) => Object.assign(file['log'] ?? {}, { redisStreams: { url: 'redis://r' } }),
    'a broker without port': (file) => (file['log'] = { kafka: { brokers: ['kafka'] } }),
    'no partition': (file) => Object.assign(file['log']?.['kafka'] as object, { partitions: 0 }),
    'a rule without a map': (file) => Object.assign(file['families']?.['user'] as object, { on: { users: 'id' } }),
  };
  for (const [what, change] of Object.entries(wrong)) assert.ok(!isRight(change), what);
});

test('everything in the file is described', () => {
  const bare: string[] = [];
  const look = (json: unknown, path: string): void => {
    if (typeof json !== 'object' || json === null) return;
    const { properties = {}, additionalProperties } = json as Record<string, Record<string, Record<string, unknown>>>;
    for (const [name, field] of Object.entries(properties)) {
      if (typeof field['description'] !== 'string') bare.push(`${path}.${name}`);
      look(field, `${path}.${name}`);
    }
    look(additionalProperties, `${path}.*`);
  };
  look(fileJsonSchema(), '');
  assert.deepEqual(bare, []);
});

test('docs/CONFIG.md is in date', () => {
  const written = readFileSync(new URL('../../docs/CONFIG.md', import.meta.url), 'utf8');
  assert.equal(written, configManual(), 'Run: node scripts/write-manual.js');
});
