import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import pg from 'pg';
import { transactionsOf } from '../../src/client/pool-transaction.ts';
import type { BufferConfig, BufferTarget } from '../../src/config/bus-config.ts';
import { addUp, encodeItems, keepLast, type BufferValue } from '../../src/buffer/entry.ts';
import type { StoredEntry } from '../../src/buffer/buffer-log.ts';
import { planFlush } from '../../src/buffer/flush-plan.ts';
import { keyColumns } from '../../src/buffer/key-text.ts';
import { PostgresBufferSink } from '../../src/drivers/postgres/buffer-sink.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { bufferConfig } from '../support/buffer-config.ts';
import { eventually } from '../support/eventually.ts';

describe('a buffer’s sink in Postgres', { timeout: 120_000 }, () => {
  let server: PostgresServer;
  let pool: pg.Pool;
  before(async () => {
    server = await startPostgres();
    pool = new pg.Pool({ connectionString: server.url, max: 4 });
  });
  after(async () => {
    await pool.end();
    await server.stop();
  });
  beforeEach(async () => {
    await pool.query(`DROP TABLE IF EXISTS views, people, log, afterwrite_flushed, afterwrite_refused;
      CREATE TABLE views (id bigint PRIMARY KEY, count int CHECK (count < 1000));
      CREATE TABLE people (org int, "user Name" text, seen timestamptz, data jsonb, PRIMARY KEY (org, "user Name"));
      CREATE TABLE log (id text, n numeric)`);
  });

  const sinkOf = (more: Partial<BufferConfig> = {}): PostgresBufferSink => {
    const config = bufferConfig(more);
    return new PostgresBufferSink(transactionsOf(pool), {
      bus: 'shop',
      config,
      keyColumns,
    });
  };
  const entry = (seq: number, items: Record<string, BufferValue>, writer = 'w'): StoredEntry => ({
    writer,
    seq,
    shape: '',
    data: encodeItems(new Map(Object.entries(items))),
    keys: Object.keys(items).length,
    place: undefined,
  });
  const write = (sink: PostgresBufferSink, entries: readonly StoredEntry[], fold = addUp, waits = true) =>
    sink.write(0, (flushed, nowSeconds) => planFlush(entries, flushed, fold, nowSeconds), waits);
  const rows = async (text: string): Promise<unknown[][]> =>
    (await pool.query<unknown[]>({ text, rowMode: 'array' })).rows;
  const table = (name: string, more: Partial<Extract<BufferTarget, { kind: 'table' }>> = {}): BufferTarget => ({
    kind: 'table',
    table: { schema: 'public', name },
    column: 'count',
    makesRows: true,
    ...more,
  });

  test('adds sums up, makes rows that are not there, and writes a batch once however often it is asked to', async () => {
    const sink = sinkOf();
    await pool.query('INSERT INTO views VALUES (1, 10), (3, NULL)');
    const batch = [entry(1, { '1': 2, '2': 5 }), entry(2, { '1': 1, '3': 4 })];
    for (let i = 0; i < 3; i++) await write(sink, batch);
    assert.deepEqual(await rows('SELECT * FROM views ORDER BY id'), [
      ['1', 13],
      ['2', 5],
      ['3', 4],
    ]);
    await write(sinkOf(), [...batch, entry(3, { '1': 1 }), entry(1, { '1': 7 }, 'other')]);
    assert.deepEqual(await rows('SELECT count FROM views WHERE id = 1'), [[21]]);
  });

  test('two flushers that have read the same entries write them once, whatever the order of their steps', async () => {
    // Method: eight sinks with the same batch at once; each waits for the partition's row, and all but one find it written.
    const batch = [entry(1, { '1': 1 }), entry(2, { '2': 1 })];
    await write(sinkOf(), []);
    const answers = await Promise.all(Array.from({ length: 8 }, () => write(sinkOf(), batch)));
    assert.deepEqual(
      answers.map((one) => (one.kind === 'written' ? one.plan.fresh : -1)).toSorted((a, b) => a - b),
      [0, 0, 0, 0, 0, 0, 0, 2],
    );
    assert.deepEqual(await rows('SELECT sum(count)::int FROM views'), [[2]]);
  });

  test('who does not wait leaves a partition that another has alone', async () => {
    const sink = sinkOf();
    await write(sink, []);
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM afterwrite_flushed WHERE partition = 0 FOR UPDATE');
    assert.equal((await write(sink, [entry(1, { '1': 1 })], addUp, false)).kind, 'busy');
    await client.query('ROLLBACK');
    client.release();
    assert.equal((await write(sink, [entry(1, { '1': 1 })], addUp, false)).kind, 'written');
  });

  test('a batch whose transaction did not commit is written by the next, and nothing of it is left behind', async () => {
    const sink = sinkOf();
    await pool.query('INSERT INTO views VALUES (1, 0)');
    await write(sink, []);
    // Method: another session holds the row that the batch writes, and ends the flusher's session while it waits for it.
    const client = await pool.connect();
    await client.query('BEGIN; SELECT FROM views WHERE id = 1 FOR UPDATE');
    const killed = assert.rejects(write(sink, [entry(1, { '1': 1, '2': 1 })]), {
      code: /^POSTGRES_(?:SHUTDOWN|UNREACHABLE)$/,
    });
    await eventually('the flusher waits', async () => {
      // Not on the session that is in a transaction: that sees the activity as it was at its first look.
      const { rowCount } = await pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'WITH batch%'`,
      );
      return rowCount === 1;
    });
    await killed;
    await client.query('ROLLBACK');
    client.release();
    assert.deepEqual(await rows('SELECT * FROM views'), [['1', 0]]);
    await write(sink, [entry(1, { '1': 1, '2': 1 })]);
    assert.deepEqual(await rows('SELECT * FROM views ORDER BY id'), [
      ['1', 1],
      ['2', 1],
    ]);
  });

  test('a batch that waits for somebody’s lock gives up, and leaves its partition to the next try', async () => {
    const sink = sinkOf();
    await pool.query('INSERT INTO views VALUES (1, 0)');
    await write(sink, []);
    const client = await pool.connect();
    await client.query('BEGIN; SELECT FROM views WHERE id = 1 FOR UPDATE');
    await assert.rejects(write(sink, [entry(1, { '1': 1 })]), { code: 'POSTGRES_TIMEOUT', message: /lock timeout/ });
    await client.query('ROLLBACK');
    client.release();
    assert.equal((await write(sink, [entry(1, { '1': 1 })])).kind, 'written');
    assert.deepEqual(await rows('SELECT * FROM views'), [['1', 1]]);
  });

  test('a row that the database refuses is set aside with its reason, and holds up no other', async () => {
    const items = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [String(i), 1]));
    const answer = await write(sinkOf(), [entry(1, { ...items, 'no number': 3, '7': 2000, '900': 2n ** 70n })]);
    assert.equal(answer.kind === 'written' ? answer.refused : -1, 3);
    assert.deepEqual(await rows('SELECT count(*)::int, sum(count)::int FROM views'), [[39, 39]]);
    const refused = await rows('SELECT key, value, sqlstate FROM afterwrite_refused ORDER BY key');
    assert.deepEqual(refused, [
      ['7', '2000', '23514'],
      ['900', String(2n ** 70n), '22003'],
      ['no number', '3', '22P02'],
    ]);
  });

  test('an entry that cannot be read is set aside, and what is behind it is written', async () => {
    const answer = await write(sinkOf(), [{ ...entry(1, {}), data: '{"no":"entry"}' }, entry(2, { '1': 1 })]);
    assert.equal(answer.kind === 'written' ? answer.plan.unreadable.length : -1, 1);
    assert.deepEqual(await rows('SELECT value FROM afterwrite_refused'), [['{"no":"entry"}']]);
    assert.deepEqual(await rows('SELECT * FROM views'), [['1', 1]]);
  });

  test('where rows are not to be made, what is for one that is not there is dropped and counted', async () => {
    await pool.query('INSERT INTO views VALUES (1, 1)');
    const sink = sinkOf({ target: table('views', { makesRows: false }) });
    const answer = await write(sink, [entry(1, { '1': 4, '2': 1, '3': 1 })]);
    assert.equal(answer.kind === 'written' ? answer.unmatched : -1, 2);
    assert.deepEqual(await rows('SELECT * FROM views'), [['1', 5]]);
  });

  test('a buffer keeps the last row of each key, with keys of several columns and every kind of text', async () => {
    const sink = sinkOf({
      kind: 'buffer',
      key: ['org', 'user Name'],
      columns: ['seen', 'data'],
      target: table('people'),
    });
    const odd = String.raw`quo"te \ back, {brace} ü 'x'`;
    const key = JSON.stringify(['1', odd]);
    await write(
      sink,
      [
        entry(1, { [key]: ['2026-01-01T00:00:00Z', '{"a":1}'], '["2","b"]': [null, null] }),
        entry(2, { [key]: ['2026-01-02T00:00:00Z', '{"a":"\\"2"}'] }),
      ],
      keepLast,
    );
    assert.deepEqual(
      await rows(`SELECT org, "user Name", seen AT TIME ZONE 'UTC' = '2026-01-02', data FROM people ORDER BY org`),
      [
        [1, odd, true, { a: '"2' }],
        [2, 'b', null, null],
      ],
    );
    const answer = await write(sink, [entry(3, { '["2","b"]': [null, '[]'] })], keepLast);
    assert.equal(answer.kind, 'written');
    assert.deepEqual(await rows('SELECT data FROM people WHERE org = 2'), [[[]]]);
  });

  test('two texts of one value are one row', async () => {
    await write(sinkOf(), [entry(1, { '1': 1, '01': 2, ' 1': 3 })]);
    assert.deepEqual(await rows('SELECT * FROM views'), [['1', 6]]);
    const people = sinkOf({
      name: 'p',
      kind: 'buffer',
      key: ['org', 'user Name'],
      columns: ['data'],
      target: table('people'),
    });
    await write(people, [entry(1, { '["1","a"]': ['1'], '["01","a"]': ['2'] })], keepLast);
    assert.deepEqual(await rows('SELECT data FROM people'), [[2]]);
  });

  test('rows that are one row of the table are written one after the other, in their order', async () => {
    await pool.query('DROP TABLE IF EXISTS prices; CREATE TABLE prices (at numeric(6,1) PRIMARY KEY, n int)');
    const prices = sinkOf({ name: 'prices', kind: 'buffer', key: ['at'], columns: ['n'], target: table('prices') });
    const answer = await write(prices, [entry(1, { '1.01': ['1'], '1.02': ['2'], '7': ['3'] })], keepLast);
    assert.equal(answer.kind === 'written' ? answer.refused : -1, 0);
    assert.deepEqual(await rows('SELECT at::float8, n FROM prices ORDER BY at'), [
      [1, 2],
      [7, 3],
    ]);
  });

  test('a row that an index or a trigger refuses, by whatever code, is set aside and holds up no other', async () => {
    await pool.query(`DROP TABLE IF EXISTS names; CREATE TABLE names (name text PRIMARY KEY, count int);
      CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.name = 'mine' THEN RAISE 'not so' USING ERRCODE = 'SHOP1'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON names FOR EACH ROW EXECUTE FUNCTION refuse()`);
    // 1,000 characters that do not shrink are more bytes than an index entry may have.
    const long = Array.from({ length: 1000 }, (_, i) => String.fromCodePoint(0x4e00 + ((i * 7919) % 20_000))).join('');
    const sink = sinkOf({ name: 'names', key: ['name'], target: table('names') });
    await write(sink, [entry(1, { [long]: 1, a: 1, mine: 1 })]);
    assert.deepEqual(await rows('SELECT name FROM names'), [['a']]);
    assert.deepEqual(await rows('SELECT sqlstate FROM afterwrite_refused ORDER BY sqlstate'), [['54000'], ['SHOP1']]);
  });

  test('a row that is refused at COMMIT only, by a constraint that is deferred, is set aside and holds up no other', async () => {
    await pool.query(`DROP TABLE IF EXISTS likes, posts; CREATE TABLE posts (id bigint PRIMARY KEY);
      CREATE TABLE likes (id bigint PRIMARY KEY REFERENCES posts DEFERRABLE INITIALLY DEFERRED, count int);
      INSERT INTO posts VALUES (1), (3)`);
    const sink = sinkOf({ name: 'likes', target: table('likes') });
    await write(sink, [entry(1, { '1': 1, '2': 1, '3': 1 })]);
    assert.deepEqual(await rows('SELECT id FROM likes ORDER BY id'), [['1'], ['3']]);
    assert.deepEqual(await rows('SELECT key, sqlstate FROM afterwrite_refused'), [['2', '23503']]);
  });

  test('an entry of another program’s, whose keys and rows are none, is set aside', async () => {
    const sink = sinkOf({ kind: 'buffer', key: ['org', 'user Name'], columns: ['data'], target: table('people') });
    const answer = await write(
      sink,
      [
        entry(1, {
          '42': ['1'],
          '["1"]': ['1'],
          '["1","a\0"]': ['1'],
          '["1","b"]': ['1', '2'],
          '["1","c"]': ['3'],
          x: 1,
        }),
      ],
      keepLast,
    );
    assert.equal(answer.kind === 'written' ? answer.refused : -1, 5);
    assert.deepEqual(await rows('SELECT "user Name" FROM people'), [['c']]);
  });

  test('rows that were acknowledged under other columns are written into those, and set aside where they are gone', async () => {
    const sink = sinkOf({
      kind: 'buffer',
      key: ['org', 'user Name'],
      columns: ['seen', 'data'],
      target: table('people'),
    });
    const under = (columns: readonly string[], seq: number, items: Record<string, BufferValue>) =>
      sink.write(
        0,
        (flushed, nowSeconds) => ({
          ...planFlush([entry(seq, items)], flushed, keepLast, nowSeconds),
          shape: { kind: 'buffer', key: ['org', 'user Name'], columns },
        }),
        true,
      );
    await write(sink, [entry(1, { '["1","a"]': ['2026-01-01T00:00:00Z', '1'] })], keepLast);
    await under(['data'], 2, { '["1","a"]': ['2'], '["2","b"]': ['3'] });
    const gone = await under(['data', 'page'], 3, { '["1","a"]': ['4', 'x'] });
    assert.equal(gone.kind === 'written' ? gone.refused : -1, 1);
    assert.deepEqual(await rows('SELECT "user Name", seen IS NULL, data FROM people ORDER BY org'), [
      ['a', false, 2],
      ['b', true, 3],
    ]);
    assert.deepEqual(await rows('SELECT key, value FROM afterwrite_refused'), [['["1","a"]', '["4","x"]']]);
  });

  test('its tables that were dropped are made again without a new start', async () => {
    const sink = sinkOf();
    await write(sink, [entry(1, { '1': 1 })]);
    await pool.query('DROP TABLE afterwrite_flushed, afterwrite_refused');
    await assert.rejects(write(sink, [entry(2, { '1': 1 })]), { code: 'POSTGRES_QUERY_FAILED' });
    assert.equal((await write(sink, [entry(2, { '1': 1 })])).kind, 'written');
    assert.deepEqual(await rows('SELECT count FROM views'), [[2]]);
  });

  test('a writer is forgotten by the database’s clock, and not by that of whoever flushes', async () => {
    const sink = sinkOf();
    const nowMs = Date.now;
    Date.now = () => nowMs() + 30 * 86_400_000;
    try {
      await write(sink, [entry(1, { '1': 1 })]);
    } finally {
      Date.now = nowMs;
    }
    const [[seconds]] = (await rows(
      `SELECT abs((writers->'w'->>1)::bigint - extract(epoch FROM now()))::float8 FROM afterwrite_flushed WHERE partition = 0`,
    )) as [[number]];
    assert.ok(seconds < 3600, `${seconds} s away`);
  });

  test('a statement of the user’s reads the batch as a relation', async () => {
    const text = 'INSERT INTO log (id, n) SELECT id, n FROM batch';
    const sink = sinkOf({ target: { kind: 'statement', text } });
    await write(sink, [entry(1, { a: 1, b: -2 }), entry(2, { a: 2n ** 60n })]);
    assert.deepEqual(await rows('SELECT * FROM log ORDER BY id'), [
      ['a', String(2n ** 60n + 1n)],
      ['b', '-2'],
    ]);
  });

  test('a session with asynchronous commits waits for the disk all the same', async () => {
    const seen: unknown[] = [];
    const sink = new PostgresBufferSink(
      async (body) =>
        transactionsOf(pool)(async (sql) => {
          await sql(`SELECT set_config('synchronous_commit', 'off', true)`, []);
          const result = await body(sql);
          seen.push((await sql(`SELECT current_setting('synchronous_commit') AS is`, []))[0]?.['is']);
          return result;
        }),
      { bus: 'shop', config: bufferConfig(), keyColumns: (text) => [text] },
    );
    await write(sink, [entry(1, { '1': 1 })]);
    assert.equal(seen.at(-1), 'on');
  });

  test('what would keep every batch from being written is told by a check that changes nothing', async () => {
    await pool.query(
      'DROP TABLE IF EXISTS strict; CREATE TABLE strict (id bigint PRIMARY KEY, count int, org int NOT NULL, name text)',
    );
    const told = (more: Partial<BufferConfig>): Promise<string> =>
      sinkOf(more)
        .check()
        .then(
          () => 'well',
          (error: unknown) => `${(error as { code: string }).code} ${(error as Error).message}`,
        );
    const statement = (text: string): Partial<BufferConfig> => ({ target: { kind: 'statement', text } });
    const expected: readonly (readonly [Partial<BufferConfig>, RegExp])[] = [
      [{}, /^well$/],
      [statement('INSERT INTO log (id, n) SELECT id, n FROM batch'), /^well$/],
      [{ target: table('nothing') }, /^CONFIG_INVALID buffers.views: the table public.nothing does not exist/],
      [{ target: table('views', { column: 'n' }) }, /^CONFIG_INVALID .* has no column n/],
      [{ target: table('strict') }, /^CONFIG_INVALID .*every new row would be refused: org/],
      [{ target: table('strict', { makesRows: false }) }, /^well$/],
      [{ key: ['org'], target: table('people', { column: 'seen' }) }, /^CONFIG_INVALID/],
      [
        { target: table('strict', { column: 'name', makesRows: false }) },
        /^CONFIG_INVALID .*COALESCE types text and integer/,
      ],
      [
        { key: ['count'], kind: 'buffer', columns: ['id'], target: table('views') },
        /^CONFIG_INVALID .*CREATE UNIQUE INDEX CONCURRENTLY ON "public"."views" \("count"\)/,
      ],
      [statement('INSERT INTO log (id, n) SELECT id, many FROM batch'), /^CONFIG_INVALID .*many/],
    ];
    for (const [more, words] of expected) assert.match(await told(more), words);
    await pool.query(`CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.org = 1; RETURN NEW; END';
      CREATE TRIGGER fill BEFORE INSERT ON strict FOR EACH ROW EXECUTE FUNCTION fill()`);
    assert.equal(await told({ target: table('strict') }), 'well');
    assert.deepEqual(await rows(`SELECT to_regclass('afterwrite_flushed'), (SELECT count(*)::int FROM log)`), [
      [null, 0],
    ]);
  });

  test('a table or a column that is not there is named', async () => {
    await assert.rejects(write(sinkOf({ target: table('nothing') }), [entry(1, { '1': 1 })]), {
      message: /public\.nothing does not exist/,
    });
    await assert.rejects(write(sinkOf({ target: table('views', { column: 'n' }) }), [entry(1, { '1': 1 })]), {
      message: /has no column n/,
    });
  });
});
