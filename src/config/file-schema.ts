import { z } from 'zod';
import { buffersSchema } from './buffer-schema.ts';
import {
  count,
  duration,
  durationOrZero,
  factor,
  flag,
  formed,
  name,
  postgresUrl,
  redisUrl,
  share,
  size,
  text,
} from './file-fields.ts';
import { jsonSchemaOf } from './json-schema.ts';
import { warmupSchema } from './warmup-schema.ts';

/** The raw file. Descriptions become the JSON Schema's and the manual's; a key that stands nowhere here is a fault. */

const mapping = z.record(z.string(), text('the name of a key parameter'), {
  error: 'a map from a column to the key parameter that it gives is expected, such as { id: id }',
});
const mappings = z.union([mapping, z.array(mapping).min(1)], {
  error: 'a map from columns to key parameters is expected, such as { id: id }, or a list of such maps',
});
const on = z
  .record(z.string(), mappings, {
    error: 'a map from a table to its columns is expected, such as { users: { id: id } }',
  })
  .describe(
    'Which row changes make it old: `table: { column: key parameter }`, for the old row and for the new one. A table outside the schema `public` is written `schema.table`. A list of such maps stands where one table gives the key in several ways.',
  );

const source = z
  .strictObject(
    {
      url: postgresUrl('the URL of the primary').describe('The URL of the primary, whose log is read.'),
      publication: formed(
        'the name of the publication',
        /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/,
        'letters, digits, "_" and "$", 63 at most',
      )
        .describe('The publication that `setup` makes. Default `afterwrite_<bus>`.')
        .optional(),
      slotPrefix: formed(
        'the beginning of the slot’s name',
        /^[a-z][a-z0-9_]{0,53}$/,
        'lower-case letters, digits and "_", 54 at most',
      )
        .describe(
          'The replication slot is called `<slotPrefix>_<8 hex digits>`. Default `afterwrite_<bus>`, with "_" for "-".',
        )
        .optional(),
      asynchronousCommits: flag(
        'Whether the application commits with `synchronous_commit` off: a crash of Postgres may then lose commits that the bus has carried, so everything is made old. Default true, the safe one.',
      ).optional(),
      eventTrigger: flag(
        'Whether `setup` installs an event trigger that reports DDL on the tables, such as DETACH PARTITION, of which the log says nothing. Takes a superuser. Default false.',
      ).optional(),
    },
    { error: 'the source is expected, such as source: { url: ${PG_URL} }' },
  )
  .describe('The Postgres primary whose log says what has changed. One bus has one.');

const sasl = z
  .strictObject(
    {
      mechanism: z
        .enum(['plain', 'scram-sha-256', 'scram-sha-512'], {
          error: 'plain, scram-sha-256 or scram-sha-512 is expected',
        })
        .describe('How to log in.'),
      username: text('a user name').describe('The user.'),
      password: text('a password').describe('The password; shown nowhere.'),
    },
    { error: 'a map of mechanism, username and password is expected' },
  )
  .describe('How to log in to the brokers. Default: not at all.');

const kafka = z
  .strictObject(
    {
      brokers: z
        .array(
          formed('a broker', /^(?:[^\s:/@[\]]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$/, 'host:port, such as kafka:9092'),
          {
            error: 'a list of brokers is expected, such as [kafka:9092]',
          },
        )
        .min(1, 'one broker at least is expected, such as [kafka:9092]')
        .describe('The brokers that are asked first, each as `host:port`.'),
      topic: formed(
        'the name of the topic',
        /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,200}$/,
        'letters, digits, ".", "_" and "-", 200 at most',
      )
        .describe('The topic that `setup` makes. Default `afterwrite.<bus>`.')
        .optional(),
      partitions: count('the number of partitions', 1024)
        .describe(
          'Partitions of the topic. Fixed for the bus’s life. Default 12; 48 suit a region that is a Redis Cluster.',
        )
        .optional(),
      replicationFactor: count('the number of copies', 9)
        .describe('Copies of each partition. Default 3, or the number of brokers in the list if that is less.')
        .optional(),
      retention: duration('how long records are kept')
        .describe('How long records are kept: a region that was away for longer begins anew. Default `72h`.')
        .optional(),
      ssl: flag('Whether to connect by TLS. Default false.').optional(),
      sasl: sasl.optional(),
    },
    { error: 'the brokers are expected, such as kafka: { brokers: [kafka:9092] }' },
  )
  .describe('The log in Kafka.');

const redisStreams = z
  .strictObject(
    {
      url: redisUrl('the URL of the log’s Redis').describe(
        'The Redis that keeps the log: not a cache, with `appendonly yes` and `appendfsync always`.',
      ),
      partitions: count('the number of streams', 1024)
        .describe('Streams of the log. Fixed for the bus’s life. Default 12.')
        .optional(),
      recordsMax: count('the number of records', 100_000_000)
        .describe('Records that a stream holds at most, whatever the regions have read. Default 1,000,000.')
        .optional(),
    },
    { error: 'the log’s Redis is expected, such as redisStreams: { url: ${REDIS_LOG} }' },
  )
  .describe('The log in Redis Streams, for one machine or a small bus.');

const log = z
  .strictObject(
    { kafka: kafka.optional(), redisStreams: redisStreams.optional() },
    { error: 'a log is expected: { kafka: … } or { redisStreams: … }' },
  )
  .refine(
    (log) => (log.kafka === undefined) !== (log.redisStreams === undefined),
    'exactly one of kafka and redisStreams is expected',
  )
  .meta({
    description: 'What carries the invalidations to the regions: exactly one of the two.',
    oneOf: [{ required: ['kafka'] }, { required: ['redisStreams'] }],
  });

const clusterNodes = z.strictObject({
  cluster: z
    .array(redisUrl('the URL of a node'), { error: 'a list of nodes’ URLs is expected, such as [redis://host:7000]' })
    .min(1, 'one node at least is expected, such as [redis://host:7000]')
    .describe('Some nodes of the cluster; the others are learnt. User, password and TLS are those of the first.'),
});

const behindSentinels = z.strictObject({
  sentinels: z
    .array(redisUrl('the URL of a Sentinel'), {
      error: 'a list of Sentinels’ URLs is expected, such as [redis://host:26379]',
    })
    .min(1, 'one Sentinel at least is expected, such as [redis://host:26379]')
    .describe('The Sentinels that know the master. User, password and TLS are those of the first.'),
  master: redisUrl('the master as the Sentinels call it, such as redis://mymaster').describe(
    'A URL whose host is the Sentinels’ name of the master: `redis://user:password@mymaster/0`.',
  ),
});

const region = z.strictObject(
  {
    redis: z
      .union([redisUrl('the URL of the region’s Redis'), clusterNodes, behindSentinels], {
        error:
          'the URL of the region’s Redis is expected, such as redis://host:6379, or the nodes of a Redis Cluster, such as { cluster: [redis://host:7000] }, or { sentinels: [redis://host:26379], master: redis://mymaster }',
      })
      .describe(
        'The region’s Redis: where its cached values are. The URL of one server, or of a Redis Cluster the URLs of some nodes: `{ cluster: [redis://host:7000] }`; the others are learnt. Behind Sentinels `{ sentinels: [redis://host:26379], master: redis://mymaster }`.',
      ),
    replicas: z
      .array(postgresUrl('the URL of a read replica'), {
        error: 'a list of the read replicas’ URLs is expected, such as ["${PG_EU}"]',
      })
      .describe('The Postgres read replicas that the region’s readers load from. Default: none.')
      .optional(),
  },
  { error: 'a region is expected, such as { redis: ${REDIS_EU} }' },
);

const family = z.strictObject(
  {
    key: text('the key template, such as user:{id}').describe(
      'The key template, such as `user:{id}`. Every parameter is supplied by each rule in `on`.',
    ),
    ttl: duration('a time to live').describe(
      'How long a value lives at most. Every family has one: the last line of defence.',
    ),
    jitter: share('how much shorter than its ttl a value may live', 90)
      .describe(
        'How much shorter than its ttl a value may live, drawn at random for each that is stored, so that what was stored together does not end together: a share of the ttl. Default `10%`; `0` turns it off.',
      )
      .optional(),
    absent: durationOrZero('how long an absence is kept')
      .describe(
        'How long it is kept that something does not exist: at most so long as `ttl`. What is inserted evicts it like any change. Default a tenth of `ttl`, a minute at most; `0` keeps no absences.',
      )
      .optional(),
    early: factor('how early a value is refreshed', 10)
      .describe(
        'How early a value is refreshed before its time is over, by a reader who draws it and waits for nothing: the beta of XFetch. 1 is the paper’s; more is earlier. Default 0: not at all.',
      )
      .optional(),
    source: text('the loader’s query')
      .describe(
        'The loader: a query of the source, with key parameters in braces: `select name from users where id = {id}`.',
      )
      .optional(),
    load: z
      .literal(true, { error: 'true is expected, or no load at all' })
      .describe(
        'The loader is the application’s own. A family has `source` or `load` or, where only plain readers use it, neither.',
      )
      .optional(),
    on: on.optional(),
    reads: z
      .enum(['primary', 'replica'], { error: 'primary or replica is expected' })
      .describe('Where the loader reads. Default `primary`.')
      .optional(),
    rows: z
      .enum(['one', 'many'], { error: 'one or many is expected' })
      .describe('Whether `source` gives one row, or null where there is none, or a list of rows. Default `one`.')
      .optional(),
    stale: duration('how long a value may be served past its ttl')
      .describe(
        'How long past its ttl a value may still be served while one reader reloads it, or while the origin is away. What was invalidated is never served, unless `when-changed` is `expire`. Default: not at all.',
      )
      .optional(),
    local: duration('how long a value may live in a process’s memory')
      .describe(
        'How long a value may live in a process’s own memory, kept honest by Redis’s client tracking. Default: not at all.',
      )
      .optional(),
    values: z
      .enum(['headed', 'plain'], { error: 'headed or plain is expected' })
      .describe(
        'What the value’s key holds: `headed`, our header and the payload; `plain`, the payload alone, for readers without this library, with what docs/PROTOCOL.md says it gives up. Default `headed`.',
      )
      .optional(),
    codec: z
      .enum(['json', 'msgpack'], { error: 'json or msgpack is expected' })
      .describe(
        'How values are written: `json`, or `msgpack`, MessagePack. What stands already is read whichever way it was written. Default `json`.',
      )
      .optional(),
    compress: size('the size from which values are compressed', 536_870_912)
      .describe('Values of this size or more are compressed, such as `2kb`. Default: none is.')
      .optional(),
    version: count('the version of the values’ shape', 1_000_000_000)
      .describe(
        'The version of the values’ shape. A value that was stored by another is a miss, never an error: raise it when what the loader returns changes. Default: none, which is a version too.',
      )
      .optional(),
    'too-stale': z
      .enum(['fail', 'serve'], { error: 'fail or serve is expected' })
      .describe(
        'What a read with `maxStaleness` does where the region is older and the origin cannot be asked: `fail`, or `serve` what there is. Default `fail`.',
      )
      .optional(),
    tags: z
      .array(text('a label, such as org:{org_id}'), { error: 'a list of labels is expected, such as ["org:{org_id}"]' })
      .describe('Labels of an entry, printed from columns of the loaded value, such as `org:{org_id}`.')
      .optional(),
    'when-changed': z
      .enum(['evict', 'refresh', 'expire'], { error: 'evict, refresh or expire is expected' })
      .describe(
        'What a change does to the value: `evict` drops it, `refresh` drops it, and an agent, or `afterwrite worker` for the application’s own loader, loads anew what was there, `expire` ends its time to live, so that it is served for `stale` while one reader reloads. Default `evict`. Of a whole family or a tag all three evict.',
      )
      .optional(),
  },
  { error: 'a family is expected, such as { key: "user:{id}", ttl: 5m, on: { users: { id: id } } }' },
);

export const fileSchema = z
  .strictObject({
    bus: name('the name of the bus')
      .describe('The name of the bus. It stands in names of its slot, topic and Redis keys.')
      .optional(),
    prefix: formed(
      'what stands before every value key',
      /^[A-Za-z0-9._:-]{0,60}$/,
      'letters, digits, ".", "_", ":" and "-", 60 at most',
    )
      .describe('Stands before every value key, so that two services on one Redis do not collide. Default `<bus>:`.')
      .optional(),
    source: source.optional(),
    log: log.optional(),
    regions: z
      .record(name('the name of a region'), region, {
        error: 'a map of the regions is expected, such as { eu: { redis: ${REDIS_EU} } }',
      })
      .describe('The regions by name: each has one Redis and the readers near it.')
      .optional(),
    families: z
      .record(name('the name of a family'), family, {
        error: 'a map of the families is expected: what is cached, and what makes it old',
      })
      .describe('The families by name: what is cached, for how long, and what makes it old.')
      .optional(),
    tags: z
      .record(
        z.string(),
        z.strictObject({ on }, { error: 'a rule is expected, such as { on: { orgs: { id: id } } }' }),
        { error: 'a map of tag rules is expected, such as { "org:{id}": { on: { orgs: { id: id } } } }' },
      )
      .describe('Tag rules by tag template, such as `org:{id}`: what makes all entries with the label old.')
      .optional(),
    buffers: buffersSchema.optional(),
    warmup: warmupSchema.optional(),
    observe: flag(
      'True for the first days of a live cache: agents evict nothing and count what they would have. Default false.',
    ).optional(),
    limits: z
      .strictObject(
        {
          keysPerTransactionMax: count('the number of keys', 10_000_000)
            .describe(
              'Keys of one family in one transaction; beyond, the transaction makes the whole family old. Default 10,000.',
            )
            .optional(),
        },
        { error: 'a map of limits is expected, such as { keysPerTransactionMax: 10000 }' },
      )
      .describe('Limits of the relay.')
      .optional(),
  })
  .describe('What is cached, and what makes it old.');

export type RawFile = z.infer<typeof fileSchema>;
export type RawFamily = z.infer<typeof family>;
export type RawRules = z.infer<typeof on>;

/** The JSON Schema of the file, for editors. */
export function fileJsonSchema(): Record<string, unknown> {
  return jsonSchemaOf(fileSchema, 'afterwrite.yaml');
}
