import { setTimeout as sleep } from 'node:timers/promises';
import { createKeyspace } from '../../protocol/keyspace.ts';
import { connect } from '../../drivers/postgres/connection.ts';
import { EXIT } from '../exit-code.ts';
import { type Output, printJson, printLines } from '../output.ts';
import type { DemoBus } from './bus.ts';
import { commandLine } from './children.ts';
import type { Ending } from './ending.ts';
import { type DemoFrame, until, withFrame } from './frame.ts';
import { Latencies } from './latencies.ts';
import { Ledger, type Missed } from './ledger.ts';
import { LiveBlock } from '../live-block.ts';
import { tableLines } from './live-table.ts';
import { openBus } from './opening.ts';
import { DemoRegion } from './region.ts';
import { type DemoServers, REGIONS } from './servers.ts';
import { allKeys, CHANGE_USER, keysOf, Shop, SHOP_PLAN } from './shop.ts';

export interface DemoOptions {
  /** How long the writer runs. Default 20. */
  readonly seconds?: number;
  /** Commits a second. */
  readonly rate: number;
  readonly log?: 'kafka' | 'redis-streams';
  readonly keep?: boolean;
  readonly json: boolean;
}

type Played = DemoOptions & { readonly seconds: number };

const SECONDS = 20;
const PARTITIONS = 12;
/** How long the last evictions may take after the last commit. */
const SETTLE_MS = 15_000;
const TABLE_EVERY_MS = { live: 500, plain: 5000 };

/** `afterwrite demo`: the main job on real servers, shown and proved. */
export function demoCommand(output: Output, options: DemoOptions): Promise<number> {
  return withFrame(output, options.json, (frame) => run(options, frame));
}

async function run(given: DemoOptions, frame: DemoFrame): Promise<number> {
  const options = { seconds: SECONDS, ...given };
  const { output, say, cleanups, ending } = frame;
  const { signal } = ending;
  say('Afterwrite: a commit in Postgres makes the right keys vanish from Redis in three regions.');
  const { servers, bus } = await openBus(frame, { log: options.log, regions: REGIONS }, SHOP_PLAN);
  const scene = await openScene(servers, bus, cleanups);
  await until('every cell has begun', signal, async () =>
    (await Promise.all(scene.regions.map((region) => region.isSteady()))).every(Boolean),
  );
  await Promise.all(scene.regions.map((region) => region.fill(allKeys())));
  say(
    `${allKeys().length} keys filled in each region. Changing rows for ${options.seconds} s, ${options.rate} commits a second.`,
  );
  await play(output, options, bus, scene, ending);
  const missed = (await Promise.all(scene.regions.map((region) => region.prove()))).flat();
  signal.throwIfAborted();
  report(output, options, servers, scene, missed);
  if (options.keep === true) await keep(say, bus, ending);
  return missed.length === 0 && scene.ledger.changes > 0 ? EXIT.ok : EXIT.failed;
}

interface Scene {
  readonly ledger: Ledger;
  readonly regions: readonly DemoRegion[];
}

async function openScene(servers: DemoServers, bus: DemoBus, cleanups: (() => Promise<void>)[]): Promise<Scene> {
  const ledger = new Ledger(REGIONS);
  const keyspace = createKeyspace({ bus: bus.name, prefix: `${bus.name}:`, cells: PARTITIONS, clustered: false });
  const regions: DemoRegion[] = [];
  for (const name of REGIONS) {
    const region = await DemoRegion.open(name, servers.caches.get(name)?.url ?? '', keyspace, ledger);
    cleanups.push(() => region.close());
    regions.push(region);
  }
  return { ledger, regions };
}

/** Writes at a steady pace, shows the table meanwhile, and waits for the last evictions. */
async function play(output: Output, options: Played, bus: DemoBus, scene: Scene, ending: Ending): Promise<void> {
  const { signal } = ending;
  const block = new LiveBlock(options.json ? output.err : output.out);
  const done = new AbortController();
  const showing = show(block, scene, signal, AbortSignal.any([signal, done.signal]));
  // A region that cannot be read can prove nothing.
  ending.watch([showing.then(() => new Promise<never>(() => undefined))]);
  try {
    await write(options, bus, scene, signal);
    const untilMs = performance.now() + SETTLE_MS;
    while (scene.ledger.waiting() > 0 && performance.now() < untilMs) await sleep(20, undefined, { signal });
  } finally {
    done.abort();
    await showing.catch(() => undefined);
  }
}

async function write({ seconds, rate }: Played, bus: DemoBus, { ledger }: Scene, signal: AbortSignal): Promise<void> {
  const sql = await connect(bus.databaseUrl, { applicationName: 'shop' });
  const shop = new Shop(Math.random);
  const startedAtMs = performance.now();
  try {
    for (let n = 0; n < seconds * rate; n++) {
      signal.throwIfAborted();
      const dueInMs = startedAtMs + (n * 1000) / rate - performance.now();
      if (dueInMs > 0) await sleep(dueInMs, undefined, { signal });
      if (performance.now() - startedAtMs > seconds * 1000) break;
      const change = shop.propose((keys) => ledger.isFree(keys));
      if (change === undefined) continue;
      const keys = keysOf(change);
      const number = ledger.begin(keys);
      await sql.query(CHANGE_USER, [change.userId, change.toOrg, `Name ${number}`]);
      ledger.committed(keys, performance.now());
      shop.apply(change);
    }
  } finally {
    await sql.close();
  }
}

/** Until `done`, and then once more; an end before its time has no last table. */
async function show(block: LiveBlock, scene: Scene, ending: AbortSignal, done: AbortSignal): Promise<void> {
  const everyMs = block.isLive ? TABLE_EVERY_MS.live : TABLE_EVERY_MS.plain;
  while (!done.aborted) {
    await sleep(everyMs, undefined, { signal: done }).catch(() => undefined);
    if (ending.aborted) return;
    block.show(await linesOf(scene));
  }
}

async function linesOf({ regions, ledger }: Scene): Promise<string[]> {
  const rows = regions.map(async (region) => {
    const latency = region.latencies.summary();
    return {
      region: region.name,
      evictions: region.evictions,
      waiting: ledger.waiting(region.name),
      p50: latency?.p50 ?? null,
      p99: latency?.p99 ?? null,
      max: latency?.max ?? null,
      stalenessMs: await region.stalenessMs(),
    };
  });
  return tableLines(await Promise.all(rows));
}

function report(
  output: Output,
  options: DemoOptions,
  servers: DemoServers,
  { regions, ledger }: Scene,
  missed: readonly Missed[],
): void {
  const latencyMs = Latencies.merged(regions.map((region) => region.latencies)).summary();
  const evictions = regions.reduce((sum, region) => sum + region.evictions, 0);
  const log = servers.log.kind;
  if (options.json) {
    const perRegion = Object.fromEntries(
      regions.map((region) => [region.name, { evictions: region.evictions, latencyMs: region.latencies.summary() }]),
    );
    printJson(output.out, {
      regions: regions.length,
      log,
      commits: ledger.changes,
      evictions,
      missed: missed.length,
      latencyMs,
      perRegion,
    });
    return;
  }
  printLines(output.out, [
    '',
    `${ledger.changes} commits, ${evictions} evictions seen in ${regions.length} regions, by way of ${log === 'kafka' ? 'Kafka' : 'Redis Streams'}.`,
    latencyMs === null
      ? 'No eviction was seen.'
      : `From COMMIT's return to the key's end: p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms, p99.9 ${latencyMs.p999} ms, max ${latencyMs.max} ms.`,
    missed.length === 0
      ? `Proved: each of the ${ledger.changedKeys().length} keys of changed rows is gone, or was put back after its change, in every region.`
      : `MISSED: ${missed.length} values that a change made old are still there.`,
    ...missed.slice(0, 20).map(({ region, key, why }) => `  ${region} ${key}: ${why}`),
  ]);
}

async function keep(say: (line: string) => void, bus: DemoBus, ending: Ending): Promise<void> {
  say(`Everything goes on running until Ctrl-C. Try: ${commandLine(['status', '--config', bus.configPath])}`);
  await sleep(2 ** 31 - 1, undefined, { signal: ending.signal }).catch(() => undefined);
  // Ctrl-C is what it waited for; that a part of it has died is not.
  if (ending.exitCode === undefined) ending.signal.throwIfAborted();
}
