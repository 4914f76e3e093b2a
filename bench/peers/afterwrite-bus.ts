import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { stringify } from 'yaml';
import { startGuarded, untilReady } from '../../src/stack/guarded-process.ts';
import { freePort, temporaryFolder } from '../../src/stack/place.ts';
import { startPostgres } from '../../src/stack/postgres.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';
import type { Settings } from './adapter.ts';

/** What a process of the application needs to know of the bus. */
export interface Bus {
  readonly configPath: string;
  readonly postgresUrl: string;
  /** The agent's metrics, which say how far the region is. */
  readonly agentMetricsUrl: string;
}

export const REGION = 'eu';

const PROGRAM = fileURLToPath(new URL('../../src/bin/afterwrite.ts', import.meta.url));

/**
 * A row for every key that a scenario asks for. `entry` is evicted by its own row, `labelled` by the row of its tag: each takes its version
 * from there. Of `unwatched` the bus is told nothing.
 */
const SCHEMA = `
create table rows (kind text, n text, name text not null, tag text not null, version int not null default 1, primary key (kind, n));
create table tags (name text primary key, version int not null default 1);
create table unwatched (kind text, n text, version int not null default 0, primary key (kind, n));
insert into rows
  select kind, n::text, 'a name of some length, so that the row is near 100 bytes',
    case kind when 'row' then 'of:row:' || n else 'all' end
  from unnest(array['opened', 'failing', 'row', 'cold', 'frozen', 'down', 'plain', 'tagged', 'local', 'redis']) kind,
    generate_series(0, 999) n;
insert into unwatched select kind, n from rows;
insert into tags select distinct tag from rows;
`;

const familiesOf = (local: object): unknown => ({
  entry: { key: 'entry:{kind}:{n}', ttl: '5m', on: { rows: { kind: 'kind', n: 'n' } }, ...local },
  labelled: {
    key: 'labelled:{kind}:{n}',
    ttl: '5m',
    on: { rows: { kind: 'kind', n: 'n' } },
    tags: ['tag:{tag}'],
    ...local,
  },
});
const TAGS = { 'tag:{name}': { on: { tags: { name: 'name' } } } };

/** Postgres, a log in Redis Streams, a relay and an agent for one Redis, each a process of its own, as an operator starts them. */
export async function startBus(
  redisUrl: string,
  settings: Settings,
): Promise<{ readonly context: Bus; stop(): Promise<void> }> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).toReversed()) await one();
  };
  try {
    const folder = await temporaryFolder('bench');
    stops.push(() => folder.remove());
    const postgres = await startPostgres();
    stops.push(() => postgres.stop());
    const log = await startRedis({ settings: LOG_SETTINGS });
    stops.push(() => log.stop());
    const sql = new Client(postgres.url);
    await sql.connect();
    await sql.query(SCHEMA);
    await sql.end();
    const configPath = join(folder.path, 'afterwrite.yaml');
    await writeFile(
      configPath,
      stringify({
        bus: 'bench',
        source: { url: postgres.url },
        log: { redisStreams: { url: log.url } },
        regions: { [REGION]: { redis: redisUrl } },
        families: familiesOf(settings === 'best' ? { local: '5m' } : {}),
        tags: TAGS,
      }),
    );
    const setup = await startGuarded(process.execPath, [PROGRAM, 'setup', '--config', configPath]);
    if ((await setup.ended) !== 0) throw new Error(`afterwrite setup failed:\n${setup.lastLines()}`);
    const start = async (args: readonly string[]): Promise<string> => {
      const port = await freePort();
      const child = await startGuarded(process.execPath, [PROGRAM, ...args, '--config', configPath], {
        env: { AFTERWRITE_HTTP_PORT: String(port), AFTERWRITE_HTTP_HOST: '127.0.0.1' },
      });
      stops.push(() => child.stop('SIGKILL'));
      const url = `http://127.0.0.1:${port}`;
      await untilReady(args[0] ?? '', child, async () => {
        const answer = await fetch(`${url}/readyz`).catch(() => undefined);
        return answer?.ok === true;
      });
      return url;
    };
    const [, agentUrl] = await Promise.all([start(['relay']), start(['agent', '--region', REGION])]);
    return { context: { configPath, postgresUrl: postgres.url, agentMetricsUrl: `${agentUrl}/metrics` }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Until every cell of the region has applied what was committed below an LSN, which is counted in bytes. */
export async function untilApplied({ agentMetricsUrl }: Bus, lsnBytes: number): Promise<void> {
  for (;;) {
    const text = await (await fetch(agentMetricsUrl)).text();
    const line = /^afterwrite_agent_watermark_lsn_bytes\{.*\} (?<bytes>\S+)$/mu.exec(text);
    if (Number(line?.groups?.['bytes'] ?? 0) >= lsnBytes) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const LOOK_MS = 5;
