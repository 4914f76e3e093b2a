import { z } from 'zod';
import { DURATION_MAX_MS, DURATION, durationMs } from './duration.ts';
import { count, duration, name, redisUrl, text } from './file-fields.ts';

/** A loss may be none at all, which no duration says. */
const loss = (what: string) => {
  const error = `${what} is expected, a number with its unit such as 50ms or 2s, or none`;
  return z
    .string({ error })
    .refine((value) => value === 'none' || isDuration(value), { error })
    .describe(what);
};

function isDuration(value: string): boolean {
  return DURATION.test(value) && durationMs(value) > 0 && durationMs(value) <= DURATION_MAX_MS;
}

const losses = z
  .strictObject(
    {
      process: duration('what a process that crashes may lose').describe(
        'What a process that crashes may take along: what it was given within this time and had not acknowledged. At least the window.',
      ),
      redis: loss('what a Redis that crashes may lose').describe(
        'What a Redis that crashes and comes back with its append-only file may have lost of what was acknowledged. `none` needs `appendfsync always`; with `everysec` it is `2s` at least; without an append-only file, everything that is not flushed: `flushEvery` twice at least.',
      ),
      disk: duration('what a Redis that is lost with its disk may lose')
        .describe(
          'What a Redis that is lost with its disk may take along: everything that is not flushed. An alarm is raised when the oldest of it is older. Default ten times `flushEvery`.',
        )
        .optional(),
    },
    { error: 'what may be lost is expected, such as loss: { process: 50ms, redis: none }' },
  )
  .describe(
    'What may be lost, and by what. Required: checked against the window and against the settings of Redis, printed at start, shown as metrics.',
  );

export const bufferSchema = z.strictObject(
  {
    redis: redisUrl('the URL of the buffer’s Redis').describe(
      'The Redis that holds what is not yet in Postgres: one server of its own, with `maxmemory-policy noeviction`. Any other policy is refused.',
    ),
    kind: z
      .enum(['counter', 'buffer'], { error: 'counter or buffer is expected' })
      .describe('`counter` adds numbers up by key; `buffer` keeps the last row of each key.'),
    key: z
      .array(text('a column of the key'), { error: 'the columns of the key are expected, such as key: [id]' })
      .min(1, 'one column at least is expected, such as key: [id]')
      .describe('The columns that tell one key from another; the parameters of a call are called so.'),
    table: text('a table, or schema.table')
      .describe('The table that is written to. A table outside the schema `public` is written `schema.table`.')
      .optional(),
    column: text('the column that counts')
      .describe('Of a counter: the column that is added to. Default `count`.')
      .optional(),
    columns: z
      .array(text('a column'), { error: 'the columns of a row are expected, such as columns: [name, seen_at]' })
      .min(1, 'one column at least is expected, such as columns: [name, seen_at]')
      .describe('Of a buffer: the columns of a row beside the key.')
      .optional(),
    rows: z
      .enum(['make', 'existing'], { error: 'make or existing is expected' })
      .describe(
        '`make` (the default) inserts the rows that are not there, and needs a unique index over the key. `existing` updates only: what is for a row that is not there is dropped, and counted.',
      )
      .optional(),
    statement: text('a statement')
      .describe(
        'In place of a table: a statement that reads `batch`, a relation of the key’s columns and `n` (counter) or the columns (buffer), one row a key; all but `n`, which is numeric, are texts. Such as `insert into log (id, n) select id::bigint, n from batch`.',
      )
      .optional(),
    window: duration('how long calls are gathered')
      .describe(
        'How long calls are gathered in the process before they are appended and acknowledged; many of one key are one entry. Default half of `loss.process`, 50 ms at most.',
      )
      .optional(),
    flushEvery: duration('how often the buffer is flushed')
      .describe(
        'How often what is buffered is written to Postgres. Longer makes fewer writes of a hot key. Default `1s`.',
      )
      .optional(),
    loss: losses,
    whenFull: z
      .enum(['block', 'shed', 'write-through'], { error: 'block, shed or write-through is expected' })
      .describe(
        'What a call does where Redis is full or away: `block` waits, for `10s` at most; `shed` fails at once; `write-through` writes to Postgres, in batches of a window. Default `block`.',
      )
      .optional(),
    maxEntries: count('the number of entries', 1_000_000_000)
      .describe('Entries that are not flushed yet, at most; an entry is a key in a window. Default 1,000,000.')
      .optional(),
    maxBytes: count('the number of bytes', 1_000_000_000_000)
      .describe('Bytes of them, at most. Default 268,435,456.')
      .optional(),
    partitions: count('the number of streams', 256)
      .describe('Streams of the buffer; a key is always in one. Fixed for the buffer’s life. Default 8.')
      .optional(),
  },
  {
    error:
      'a buffer is expected, such as { redis: ${REDIS_BUFFER}, kind: counter, table: views, key: [id], loss: { process: 50ms, redis: none } }',
  },
);

export const buffersSchema = z
  .record(name('the name of a buffer'), bufferSchema, {
    error: 'a map of the buffers is expected: what is written behind, and what may be lost',
  })
  .describe('The buffers by name: what is written behind, to where, and what may be lost of it.');

export type RawBuffer = z.infer<typeof bufferSchema>;
