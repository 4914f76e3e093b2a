import { BusError } from '../../protocol/errors.ts';

/** Servers that run already, by environment variable; what is not given is found or started. */
export const SERVER_VARIABLES = {
  AFTERWRITE_PG_URL: 'a superuser’s URL of a Postgres primary',
  AFTERWRITE_PG_REPLICA_URL: 'the URL of its read replica',
  AFTERWRITE_KAFKA_BROKERS: 'brokers, as host:port,host:port',
  AFTERWRITE_REDIS_EU: 'a Redis for region eu; likewise _US and _AP',
  AFTERWRITE_REDIS_LOG: 'a Redis for the log in Redis Streams',
} as const;

const POSTGRES = { isRight: urlOf('postgres:', 'postgresql:'), right: 'postgres://user@host:5432/postgres' };
const REDIS = { isRight: urlOf('redis:', 'rediss:'), right: 'redis://host:6379' };
const BROKERS = {
  isRight: (text: string): boolean => text.split(',').every((one) => /^[^\s/@]+:\d{1,5}$/.test(one.trim())),
  right: 'host:9092, or several with commas between them',
};

const EXPECTED: Readonly<Record<string, typeof POSTGRES>> = {
  AFTERWRITE_PG_URL: POSTGRES,
  AFTERWRITE_PG_REPLICA_URL: POSTGRES,
  AFTERWRITE_KAFKA_BROKERS: BROKERS,
  AFTERWRITE_REDIS_EU: REDIS,
  AFTERWRITE_REDIS_US: REDIS,
  AFTERWRITE_REDIS_AP: REDIS,
  AFTERWRITE_REDIS_LOG: REDIS,
};

/** Reads what the environment gives, by variable. All faults at once; no value is shown, since it may hold a password. Throws `SETTING_INVALID`. */
export function givenServers(
  environment: Readonly<Record<string, string | undefined>>,
): (name: string) => string | undefined {
  const given = new Map<string, string>();
  const faults: string[] = [];
  for (const [name, { isRight, right }] of Object.entries(EXPECTED)) {
    const text = environment[name];
    if (text === undefined || text === '') continue;
    if (!isRight(text)) faults.push(`${name}: ${right} is expected.`);
    const twin = name.startsWith('AFTERWRITE_REDIS_') ? [...given].find(([, other]) => other === text) : undefined;
    if (twin !== undefined) faults.push(`${name}: is the same server as ${twin[0]}; one of its own is expected.`);
    given.set(name, text);
  }
  if (given.has('AFTERWRITE_PG_REPLICA_URL') && !given.has('AFTERWRITE_PG_URL'))
    faults.push('AFTERWRITE_PG_URL: the primary of AFTERWRITE_PG_REPLICA_URL is expected too.');
  if (faults.length > 0) throw new BusError('SETTING_INVALID', faults.join('\n'));
  return (name) => given.get(name);
}

function urlOf(...protocols: readonly string[]): (text: string) => boolean {
  return (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol);
}
