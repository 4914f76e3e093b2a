import { z } from 'zod';

/** The raw file. Descriptions become the JSON Schema's and the manual's; errors say what would be right. */

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

export function durationMs(text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  return Number(amount) * UNITS_MS[(unit ?? 'ms') as keyof typeof UNITS_MS];
}

const duration = (what: string) =>
  z
    .string({ error: `${what} is expected, as a duration such as 5m, 250ms or 72h` })
    .regex(DURATION, `"5m", "250ms" or "72h" would be a duration`)
    .describe(`${what}, such as 5m, 250ms, 72h`);
const text = (what: string) =>
  z
    .string({ error: `${what} is expected` })
    .min(1, `${what} is expected, not an empty text`)
    .describe(what);
const url = (what: string, ...schemes: string[]) =>
  text(what).refine(
    (value) => schemes.some((scheme) => value.startsWith(`${scheme}://`)) && URL.canParse(value),
    `a URL is expected that begins with ${schemes.map((s) => `${s}://`).join(' or ')}`,
  );
const count = (what: string, max: number) =>
  z
    .int({ error: `${what} is expected, a whole number from 1 to ${max}` })
    .min(1, `a number from 1 to ${max} is expected`)
    .max(max, `a number from 1 to ${max} is expected`)
    .describe(what);
const flag = (what: string) => z.boolean({ error: `true or false is expected` }).describe(what);

const name = (what: string) =>
  text(what).regex(
    /^[a-z][a-z0-9_-]{0,40}$/,
    `${what} is expected: lower-case letters, digits, "_" and "-", beginning with a letter, 41 at most`,
  );
const postgresUrl = (what: string) => url(what, 'postgres', 'postgresql');
const redisUrl = (what: string) => url(what, 'redis', 'rediss');

const mapping = z.record(z.string(), text('the name of a key parameter'), {
  error: 'a map is expected from a column to the key parameter that it gives, such as { id: id }',
});
const on = z
  .record(
    z.string(),
    z.union([mapping, z.array(mapping).min(1)], {
      error: 'a map from columns to key parameters is expected, or a list of such maps',
    }),
    {
      error: 'a map is expected from a table to its columns, such as { users: { id: id } }',
    },
  )
  .describe(
    'Which row changes make it old: table -> { column: key parameter }. A list of such maps where a table gives the key in several ways.',
  );

const source = z.strictObject(
  {
    url: postgresUrl('the URL of the primary'),
    publication: text('the name of the publication').optional(),
    slotPrefix: text('the beginning of the slot’s name')
      .regex(/^[a-z][a-z0-9_]{0,50}$/, 'lower-case letters, digits and underscores are expected')
      .optional(),
    asynchronousCommits: flag(
      'Whether the application commits with synchronous_commit off. Default true, the safe one: a crash of Postgres then makes everything old.',
    ).optional(),
    eventTrigger: flag(
      'Whether `setup` installs an event trigger that reports DDL of the tables. Default false.',
    ).optional(),
  },
  { error: 'the source is expected, such as { url: ${PG_URL} }' },
);

const kafka = z
  .strictObject({
    brokers: z
      .array(text('a broker as host:port').regex(/^[^\s:]+:\d+$/, 'host:port is expected'), {
        error: 'a list of brokers is expected, such as [kafka:9092]',
      })
      .min(1, 'one broker at least is expected'),
    topic: text('the name of the topic')
      .regex(/^[A-Za-z0-9._-]{1,200}$/, 'letters, digits, ".", "_" and "-" are expected')
      .optional(),
    partitions: count('Partitions of the topic. Default 12. Fixed for the bus’s life.', 1024).optional(),
    replicationFactor: count(
      'Copies of each partition. Default 3, or the number of brokers named if that is less.',
      9,
    ).optional(),
    retention: duration('How long records are kept. Default 72h').optional(),
    ssl: flag('Whether to connect by TLS. Default false.').optional(),
    sasl: z
      .strictObject({
        mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512'], {
          error: 'plain, scram-sha-256 or scram-sha-512 is expected',
        }),
        username: text('a user name'),
        password: text('a password'),
      })
      .optional(),
  })
  .describe('The log in Kafka.');

const redisStreams = z
  .strictObject({
    url: redisUrl('the URL of the Redis that keeps the log; not a cache'),
    partitions: count('Streams of the log. Default 12. Fixed for the bus’s life.', 1024).optional(),
    recordsMax: count('Records a stream holds at most. Default 1,000,000.', 100_000_000).optional(),
  })
  .describe('The log in Redis Streams.');

const region = z.strictObject(
  {
    redis: redisUrl('the URL of the region’s Redis'),
    replicas: z.array(postgresUrl('the URL of a read replica')).describe('Read replicas of the region.').optional(),
  },
  { error: 'a region is expected, such as { redis: ${REDIS_EU} }' },
);

/** One family, to judge those that are right beside others that are not. */
export const familySchema = z.strictObject(
  {
    key: text('the key template, such as user:{id}'),
    ttl: duration('how long a value lives at most'),
    source: text('the loader: a query with key parameters in braces').optional(),
    load: z
      .literal(true, { error: 'true is expected, or nothing' })
      .describe('The application brings the loader.')
      .optional(),
    on: on.optional(),
    reads: z
      .enum(['primary', 'replica'], { error: 'primary or replica is expected' })
      .describe('Where the loader reads. Default primary.')
      .optional(),
    tags: z.array(text('a label, such as org:{org_id}')).describe('Labels, printed from the loaded value.').optional(),
    'when-changed': z
      .enum(['evict', 'refresh', 'expire'], { error: 'evict, refresh or expire is expected' })
      .describe('What a change does. Default evict.')
      .optional(),
  },
  { error: 'a family is expected, with key, ttl and on' },
);

export const fileSchema = z.strictObject({
  bus: name('the name of the bus').optional(),
  prefix: text('what stands before every value key')
    .regex(/^[A-Za-z0-9._:-]{0,60}$/, 'letters, digits, ".", "_", ":" and "-" are expected')
    .or(z.literal(''))
    .describe('Stands before every value key. Default `<bus>:`.')
    .optional(),
  source: source.optional(),
  log: z
    .strictObject(
      { kafka: kafka.optional(), redisStreams: redisStreams.optional() },
      { error: 'a log is expected: { kafka: … } or { redisStreams: … }' },
    )
    .refine(
      (log) => (log.kafka === undefined) !== (log.redisStreams === undefined),
      'exactly one of kafka and redisStreams is expected',
    )
    .optional(),
  regions: z.record(name('the name of a region'), region, { error: 'the regions are expected, by name' }).optional(),
  families: z
    .record(name('the name of a family'), familySchema, { error: 'the families are expected, by name' })
    .optional(),
  tags: z
    .record(z.string(), z.strictObject({ on }, { error: 'a rule is expected, such as { on: { orgs: { id: id } } }' }))
    .describe('What makes all entries with a label old.')
    .optional(),
  observe: flag('True: evict and refuse nothing, count what would have been. Default false.').optional(),
  limits: z
    .strictObject({
      keysPerTransactionMax: count(
        'Keys of one family in one transaction, beyond which it invalidates the family. Default 10,000.',
        10_000_000,
      ).optional(),
    })
    .optional(),
});

export type RawFile = z.infer<typeof fileSchema>;
export type RawFamily = z.infer<typeof familySchema>;
export type RawRules = z.infer<typeof on>;

/** The JSON Schema of the file, for editors, which see it before the environment is put in: a text may be a variable everywhere. */
export function fileJsonSchema(): Record<string, unknown> {
  const json = z.toJSONSchema(fileSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      if (typeof jsonSchema.pattern === 'string') jsonSchema.pattern = `\\$\\{|${jsonSchema.pattern}`;
    },
  });
  return { title: 'afterwrite.yaml', ...json };
}
