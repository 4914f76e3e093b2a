import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { printFault } from '../../src/config/fault.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { ENVIRONMENT, EXAMPLE } from '../support/config-text.ts';

/** Parses, and looks whether each fault has a place in the file. */
function parse(text: string): void {
  const result = parseConfig([{ name: 'f', text }], ENVIRONMENT);
  const lines = text.split(/\r\n|\r|\n/).length;
  for (const fault of result.kind === 'faults' ? result.faults : result.warnings) {
    assert.ok(fault.file === 'f' && fault.line >= 1 && fault.line <= lines, printFault(fault));
    assert.doesNotMatch(fault.message, /[\ufdd0\ufdd1]|Invalid input|undefined|\[object/, printFault(fault));
  }
  if (result.kind === 'faults') assert.ok(result.faults.length > 0);
}

test('a spoilt file is told what is wrong with it, at a line of its own, and never ends the program', () => {
  const put = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      '\n',
      '\n  ',
      '"',
      "'",
      '${',
      '$${',
      '&a ',
      '*a',
      '!t ',
      '- ',
      '? ',
      '<<: ',
      '#',
      '|',
    ),
  );
  const edit = fc.tuple(fc.nat(), fc.nat(12), put);
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      parse(
        edits.reduce((text, [at, cut, put]) => {
          const place = at % text.length;
          return text.slice(0, place) + put + text.slice(place + cut);
        }, EXAMPLE),
      );
    }),
    { numRuns: 1500 },
  );
});

test('a value of the wrong kind anywhere has a message of ours', () => {
  // Method: take every value of a file that says everything, and put each kind of value in its place.
  const whole = {
    bus: 'b',
    prefix: 'b:',
    source: {
      url: 'postgres://h/d',
      publication: 'p',
      slotPrefix: 's',
      asynchronousCommits: false,
      eventTrigger: true,
    },
    log: {
      kafka: {
        brokers: ['k:1'],
        topic: 't',
        partitions: 3,
        replicationFactor: 1,
        retention: '1d',
        ssl: true,
        sasl: { mechanism: 'plain', username: 'u', password: 'p' },
      },
    },
    regions: { eu: { redis: 'rediss://r', replicas: ['postgres://r/d'] } },
    families: {
      f: {
        key: 'f:{id}',
        ttl: '1m',
        source: 'select * from t where id = {id}',
        on: { t: [{ id: 'id' }], u: { t_id: 'id' } },
        reads: 'replica',
        tags: ['g:{x}'],
        'when-changed': 'expire',
      },
    },
    tags: { 'g:{id}': { on: { g: { id: 'id' } } } },
    observe: true,
    limits: { keysPerTransactionMax: 5 },
  };
  assert.equal(parseConfig([{ name: 'f', text: stringify(whole) }], {}).kind, 'config');
  for (const put of [null, true, -1, 1.5, '', 'x y', [], [null], {}, { x: 1 }]) {
    for (const changed of replacements(whole, put)) parse(stringify(changed));
  }
});

/** The value with each of its parts replaced, one at a time. */
function* replacements(value: unknown, put: unknown): Generator {
  yield put;
  if (typeof value !== 'object' || value === null) return;
  for (const [name, item] of Object.entries(value)) {
    for (const changed of replacements(item, put)) {
      if (Array.isArray(value)) yield value.with(Number(name), changed);
      else yield { ...value, [name]: changed };
    }
  }
}
