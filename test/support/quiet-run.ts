import { setTimeout as sleep } from 'node:timers/promises';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { eventually } from './eventually.ts';
import { openStage, SHOP, SHOP_FAMILIES, type Stage } from './stage.ts';
import { type TcpProxy, startTcpProxy } from './tcp-proxy.ts';
import { seeded } from './seeded.ts';

const USERS = 200;
const CELLS = 12;
/** Between two disturbances, at most. */
const CALM_MS = 8000;
/** A Redis that stands still for so long at most: longer than a command of an agent waits. */
const FROZEN_MS = 7000;

export interface QuietReport {
  readonly minutes: number;
  readonly seed: number;
  readonly writes: number;
  readonly disturbances: Readonly<Record<string, number>>;
  /** Times that the region was taken for cold, though nothing was lost; and Redis for another. */
  readonly falseAlarms: number;
}

type Disturbance = (stage: Stage, proxy: TcpProxy, random: (below: number) => number) => Promise<void>;

/** What happens to a healthy region: nothing of it loses a value. */
const DISTURBANCES: Readonly<Record<string, Disturbance>> = {
  'connections killed': async ({ redis }) =>
    void (await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')),
  'network cut': async ({ cache }, proxy) => proxy.retarget({ host: '127.0.0.1', port: cache.port }),
  'redis frozen': async ({ cache }, _, random) => {
    cache.process?.kill('SIGSTOP');
    await sleep(random(FROZEN_MS));
    cache.process?.kill('SIGCONT');
  },
};

/** Runs a bus on real servers under a light load, disturbs it at random, and counts how often its region was taken for cold. */
export async function runQuietly(options: {
  readonly minutes: number;
  readonly seed: number;
  readonly say?: (line: string) => void;
}): Promise<QuietReport> {
  const { minutes, seed, say = () => undefined } = options;
  const random = seeded(seed);
  const stage = await openStage({ log: 'redis-streams', schema: SHOP, families: SHOP_FAMILIES, partitions: CELLS });
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: stage.cache.port });
  try {
    const behindProxy = await stage.withUrls((text) =>
      text.replace(`redis: ${stage.cache.url}`, `redis: redis://127.0.0.1:${proxy.port}`),
    );
    await stage.sql.query(`insert into users select n, n % 10, 'n' from generate_series(1, ${USERS}) n`);
    await stage.startRelay('relay');
    const steady = await stage.startAgent('agent-steady', behindProxy);
    let other = await stage.startAgent('agent-0', behindProxy);
    const gate = new RedisGateStore(stage.redis, `afterwrite:${stage.config.bus}:gate`);
    await eventually('every cell is noted', async () => {
      const fields = Array.from({ length: CELLS }, (_, cell) => `cell:${cell}`);
      return (await stage.redis.hmget(`afterwrite:${stage.config.bus}:gate`, ...fields)).every((one) => one !== null);
    });
    const first = await gate.read();
    if (first === null) throw new Error('There is no gate.');
    await gate.warm(first.epoch);
    const before = (await alarmsOf(steady.httpPort)) + (await alarmsOf(other.httpPort));
    const disturbances: Record<string, number> = { 'agent replaced': 0 };
    for (const name of Object.keys(DISTURBANCES)) disturbances[name] = 0;
    let gone = 0;
    let writes = 0;
    const untilMs = performance.now() + minutes * 60_000;
    const names = Object.keys(disturbances);
    let nextMs = performance.now() + random(CALM_MS);
    while (performance.now() < untilMs) {
      const id = 1 + random(USERS);
      await stage.sql.query('update users set name = $1 where id = $2', [`${writes}`, id]);
      writes += 1;
      await sleep(20);
      if (performance.now() < nextMs) continue;
      const name = names[random(names.length)] ?? '';
      disturbances[name] = (disturbances[name] ?? 0) + 1;
      say(name);
      if (name === 'agent replaced') {
        gone += await alarmsOf(other.httpPort);
        if (random(2) === 0) await other.stop();
        else await stage.kill(other);
        other = await stage.startAgent(`agent-${disturbances[name]}`, behindProxy);
      } else await DISTURBANCES[name]?.(stage, proxy, random);
      nextMs = performance.now() + random(CALM_MS);
    }
    await eventually('the agents are back', async () => {
      const ready = [steady, other].map(
        async ({ httpPort }) => (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok,
      );
      return (await Promise.all(ready)).every(Boolean);
    });
    const now = await gate.read();
    const alarms = gone + (await alarmsOf(steady.httpPort)) + (await alarmsOf(other.httpPort)) - before;
    const isOther = now?.epoch !== first.epoch || now.state !== 'WARM';
    return { minutes, seed, writes, disturbances, falseAlarms: alarms + (isOther && alarms === 0 ? 1 : 0) };
  } finally {
    await proxy.close();
    await stage.close();
  }
}

/** All that an agent has taken for another Redis or for coldness. */
async function alarmsOf(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => /^afterwrite_region_(cold|redis_changes)_total\{/.test(line))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
