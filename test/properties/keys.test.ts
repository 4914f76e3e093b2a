import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cellTag, hashSlotOf } from '../../src/protocol/cell-tag.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { bucketOf, cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { type KeyType, printKeyParameter } from '../../src/protocol/key-parameter.ts';
import { globOf, type KeyTemplate, matcherOf, parseKeyTemplate, printKey } from '../../src/protocol/key-template.ts';
import { createKeyspace, type Keyspace } from '../../src/protocol/keyspace.ts';

const literal = fc.string({ unit: fc.constantFrom(...Array.from('abz09:/;,.-_@#&=(*?[]^\\|$+~')), maxLength: 4 });
const template = fc
  .array(literal, { minLength: 1, maxLength: 4 })
  .map((literals) => literals.map((text, i) => (i === 0 ? text : `{p${i}}${text}`)).join(''))
  .map((text) => parseKeyTemplate(text))
  .filter((result) => result.kind === 'template')
  .map((result) => (result as { template: KeyTemplate }).template);
const text = fc.string({ unit: 'binary', maxLength: 6 }).filter((value) => value.isWellFormed());
const valuesFor = (one: KeyTemplate): fc.Arbitrary<string[]> =>
  fc.array(text, { minLength: one.parameters.length, maxLength: one.parameters.length });

function print(one: KeyTemplate, values: readonly string[]): string {
  return printKey(
    one,
    values.map((value) => printKeyParameter('text', value)),
  );
}

test('two different sets of values never print one key', () => {
  // Method: beside values at random, those that hold the literal between them, p L q and r against p and q L r: if L is printed as it is,
  // both print p L q L r.
  const near = fc.string({ unit: fc.constantFrom('a', 'b', '-', '_', '.', 'é'), maxLength: 2 });
  const pair = template.chain((one) =>
    fc
      .tuple(valuesFor(one), valuesFor(one), fc.nat(), near, near, near)
      .map(([a, b, place, p, q, r]): [KeyTemplate, string[], string[]] => {
        if (one.parameters.length < 2) return [one, a, b];
        const i = place % (one.parameters.length - 1);
        const between = one.literals[i + 1] ?? '';
        const put = (first: string, second: string): string[] => a.with(i, first).with(i + 1, second);
        return [one, put(`${p}${between}${q}`, r), place % 2 === 0 ? put(p, `${q}${between}${r}`) : b];
      }),
  );
  fc.assert(
    fc.property(pair, ([one, a, b]) => {
      assert.equal(print(one, a) === print(one, b), JSON.stringify(a) === JSON.stringify(b), one.text);
    }),
    { numRuns: 5000 },
  );
});

/** What could have been printed, by the definition: take the values out at the separators, print them, compare. */
function couldBePrinted(one: KeyTemplate, key: string): boolean {
  const value = '([^!"#$&\'()*,/:;<=>?[\\]^`|\\\\{} \\u0000-\\u001f\\u007f]*)';
  const match = new RegExp(`^${one.literals.map((part) => part.replace(/[^\w]/g, '\\$&')).join(value)}$`).exec(key);
  if (match === null) return false;
  const values = match.slice(1).map((printed) => printed.replace(/%([0-9A-F]{2})/g, (_, hex: string) => hexText(hex)));
  return values.every((one) => one.isWellFormed()) && print(one, values) === key;
}

function hexText(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

test('a template knows the keys that it can print, and no others', () => {
  const noise = fc.string({
    unit: fc.constantFrom(
      'a',
      'b',
      ':',
      '%',
      '4',
      '1',
      'F',
      '/',
      '.',
      'é',
      '{',
      ' ',
      '\ud800',
      '%3A',
      '%41',
      '%FF',
      '%3a',
    ),
    maxLength: 4,
  });
  const given = template.chain((one) => fc.tuple(fc.constant(one), valuesFor(one), fc.nat(), noise, noise));
  fc.assert(
    fc.property(given, ([one, values, at, put, other]) => {
      const key = print(one, values);
      const isOwn = matcherOf(one);
      assert.ok(isOwn(key), `${one.text} does not know ${key}`);
      const place = at % (key.length + 1);
      for (const foreign of [
        key.slice(0, place) + put + key.slice(place),
        key.slice(0, place) + put + key.slice(place + 1),
        one.literals.join(put),
        one.literals.join(other) + put,
      ])
        assert.equal(isOwn(foreign), couldBePrinted(one, foreign), `${one.text} and ${foreign}`);
    }),
    { numRuns: 5000 },
  );
});

test('the pattern for SCAN finds every key of its template', () => {
  const given = template.chain((one) => fc.tuple(fc.constant(one), valuesFor(one)));
  fc.assert(
    fc.property(given, ([one, values]) => {
      assert.ok(globMatches(globOf(one), print(one, values)), `${globOf(one)} does not find ${print(one, values)}`);
    }),
  );
});

/** Redis's `stringmatchlen`, as far as a pattern of ours goes: "*", and a backslash before a character that stands for itself. */
function globMatches(glob: string, key: string): boolean {
  if (glob === '') return key === '';
  if (glob.startsWith('*'))
    return [...Array(key.length + 1).keys()].some((i) => globMatches(glob.slice(1), key.slice(i)));
  const isEscaped = glob.startsWith('\\');
  const character = isEscaped ? glob.charAt(1) : glob.charAt(0);
  if (!isEscaped && /[?[\]]/.test(character)) throw new Error(`${glob} means more than it says.`);
  return key.startsWith(character) && globMatches(glob.slice(isEscaped ? 2 : 1), key.slice(1));
}

test('a template that could print two things alike, or nothing that is a key, is refused with the reason', () => {
  const reasons: Readonly<Record<string, RegExp>> = {
    '': /is empty/,
    'user:{a}{b}': /"{a}" and "{b}" need a separator/,
    'user:{a}-{b}': /need a separator/,
    'user:{a}%{b}': /printable ASCII only/,
    'user:{id': /brace is not closed/,
    'user:id}': /brace is not closed, or not opened/,
    'user:{}': /"{}" is not a parameter/,
    'user:{a.b}': /"{a.b}" is not a parameter/,
    'user:{id}:{id}': /stands twice/,
    'user: {id}': /without spaces/,
    'größe:{id}': /printable ASCII only/,
  };
  for (const [given, reason] of Object.entries(reasons)) {
    const result = parseKeyTemplate(given);
    assert.match(result.kind === 'fault' ? result.fault : 'accepted', reason, given);
  }
});

test('what an application passes prints as what Postgres prints', () => {
  const same = (type: Parameters<typeof printKeyParameter>[0], ...values: unknown[]): void =>
    assert.equal(new Set(values.map((value) => printKeyParameter(type, value))).size, 1);
  same('integer', '42', 42, 42n, '+42', '0042');
  same('integer', '0', -0, 0n, '-0');
  same('integer', '-9223372036854775808', -9223372036854775808n);
  same(
    'uuid',
    '6f1c0f5e-5d1e-4f0b-9d56-3f6f4c1f2a10',
    '6F1C0F5E-5D1E-4F0B-9D56-3F6F4C1F2A10',
    '{6f1c0f5e5d1e4f0b9d563f6f4c1f2a10}',
    '6f1c-0f5e-5d1e-4f0b-9d56-3f6f-4c1f-2a10',
  );
  same('boolean', 't', true, 'true');
  same('boolean', 'f', false, 'false');
  // A date is its text on both sides: a Date of JavaScript is a moment, which is another day elsewhere.
  for (const date of ['2026-02-28', '10191-01-01', '5874897-12-31', 'infinity', '-infinity'])
    assert.equal(printKeyParameter('date', date), date);
  assert.equal(printKeyParameter('date', '0044-03-15 BC'), '0044-03-15%20BC');
  assert.equal(printKeyParameter('text', 'a:b{c}é %'), 'a%3Ab%7Bc%7Dé%20%25');
});

test('what has no canonical form is refused, whatever it is', () => {
  const types = fc.constantFrom<KeyType[]>('text', 'integer', 'uuid', 'boolean', 'date');
  fc.assert(
    fc.property(types, fc.anything(), (type, value) => {
      try {
        assert.equal(typeof printKeyParameter(type, value), 'string');
      } catch (error) {
        assert.ok(isBusError(error, 'KEY_PARAMETER_INVALID'), String(error));
      }
    }),
  );
  for (const [type, value] of [
    ['integer', 1.5],
    ['integer', '9223372036854775808'],
    ['integer', ''],
    ['text', '\ud800'],
    ['uuid', '{6f1c0f5e5d1e4f0b9d563f6f4c1f2a10'],
    ['boolean', 1],
    ['date', '2026-2-3'],
    ['date', '02026-02-28'],
    ['date', '0000-01-01'],
    ['date', '2026-13-01'],
    ['date', new Date(0)],
    ['integer', Number.NaN],
    ['integer', 2 ** 53],
    ['integer', ' 1'],
    ['integer', '1e3'],
    ['uuid', '6f1c0f5-e5d1e-4f0b-9d56-3f6f4c1f2a10'],
    ['text', null],
  ] as const) {
    assert.throws(() => printKeyParameter(type, value), { code: 'KEY_PARAMETER_INVALID' });
  }
});

test('keys are hashed by MurmurHash3, 32 bits, seed 0', () => {
  const vectors = {
    '': 0,
    test: 0xba6bd213,
    'Hello, world!': 0xc0363e43,
    'The quick brown fox jumps over the lazy dog': 0x2e4ff723,
  };
  for (const [key, hash] of Object.entries(vectors)) assert.equal(hashKey(key), hash, key);
  // Of another implementation (mmh3 for Python), over UTF-8: two, three and four bytes a character, and every length of tail.
  const others = {
    a: 0x3c2569b2,
    ab: 0x9bbfd75f,
    abc: 0xb3dd93fa,
    'org:7:members': 0x4b717d13,
    'user:é': 0x83c75528,
    Zoë: 0x86712d1a,
    日本語: 0xa5a47297,
    'user:😀:ключ': 0x9149dd97,
  };
  for (const [key, hash] of Object.entries(others)) assert.equal(hashKey(key), hash, key);
});

test('cells and buckets are spread evenly over real keys', () => {
  const [cells, buckets] = [12, 5461];
  const perCell = Array.from({ length: cells }, () => 0);
  const used = new Set<number>();
  for (let id = 0; id < 120_000; id++) {
    const hash = hashKey(`user:${id}`);
    perCell[cellOf(hash, cells)]! += 1;
    if (cellOf(hash, cells) === 0) used.add(bucketOf(hash, cells, buckets));
  }
  for (const count of perCell) assert.ok(Math.abs(count - 10_000) < 500, `${count} keys in a cell`);
  assert.ok(used.size > buckets * 0.8, 'a cell uses all of its buckets');
});

test('the tags of cells lie in equal parts of the hash slots', () => {
  assert.equal(hashSlotOf('123456789'), 12_739, 'the test vector of the Redis Cluster specification');
  for (const cells of [1, 12, 48]) {
    for (let cell = 0; cell < cells; cell++)
      assert.equal(Math.floor((hashSlotOf(cellTag(cell, cells)) * cells) / 16_384), cell);
  }
});

test('a cache key comes back from its Redis key, in a cluster or not', () => {
  for (const clustered of [false, true]) {
    const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: 12, clustered });
    assert.equal(keyspace.cacheKey(keyspace.valueKey('user:42', 3)), 'user:42');
    assert.equal(keyspace.cacheKey('other:user:42'), undefined);
  }
});

test('two services on one Redis do not collide: whatever they are called, no key, channel or pattern of one is the other’s', () => {
  const busName = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
  const cacheKey = fc.stringMatching(/^[a-z:{}*0-9_-]{1,20}$/);
  fc.assert(
    fc.property(busName, busName, cacheKey, cacheKey, fc.boolean(), (first, second, mine, theirs, clustered) => {
      fc.pre(first !== second);
      const [a, b] = [first, second].map((bus) => createKeyspace({ bus, prefix: `${bus}:`, cells: 3, clustered }));
      const all = (keyspace: Keyspace, key: string): string[] => [
        keyspace.valueKey(key, 1),
        keyspace.slotKey(key, 1),
        ...[keyspace.record, keyspace.state, keyspace.sweeps, keyspace.refreshes].map((of) => of(1)),
        keyspace.leaseEnds,
        keyspace.agents,
        keyspace.clients,
        keyspace.pulse('p', 1),
      ];
      assert.ok(a !== undefined && b !== undefined);
      const own = new Set(all(a, mine));
      // A bus called "afterwrite" has values beside the control records; keys that begin so are refused by the file.
      fc.pre(first !== 'afterwrite' && second !== 'afterwrite');
      for (const key of all(b, theirs)) assert.ok(!own.has(key), key);
      assert.equal(a.cacheKey(b.valueKey(theirs, 1)), undefined);
      assert.ok(!b.valueKey(theirs, 1).startsWith(a.valueGlob('')), 'no scan of one meets a value of the other');
    }),
  );
});
