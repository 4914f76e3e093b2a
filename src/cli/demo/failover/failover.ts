import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../../config/load-config.ts';
import { keyspaceOf } from '../../../config/region-keyspace.ts';
import { BusError } from '../../../protocol/errors.ts';
import { freePort } from '../../../stack/place.ts';
import { regionOf } from '../../commands/context.ts';
import { EXIT } from '../../exit-code.ts';
import type { Output } from '../../output.ts';
import { runTask } from '../children.ts';
import { type DemoFrame, until, withFrame } from '../frame.ts';
import { type OpenedBus, openBus } from '../opening.ts';
import { CUSTOMERS_PLAN } from './customers.ts';
import { type Act, endLines, endObject, showActs } from './report.ts';
import { FailoverScene, NEIGHBOUR, type OpenDemoCache, VICTIM } from './scene.ts';
import { Victim } from './victim.ts';

export interface FailoverOptions {
  /** How long users read before anything happens. Default 40: what they read must be seen and published. */
  readonly seconds?: number;
  readonly log?: 'kafka' | 'redis-streams';
  readonly json: boolean;
}

const STEADY_SECONDS = 40;
const BETWEEN_MAX_MS = 20_000;
const QUIET_MAX_MS = 10_000;
const AWAY_MS = 1000;
const AFTER_MS = 5000;
/** A region that is not back by then does not come back. */
const BACK_LIMIT_MS = 90_000;
const LOOK_MS = 100;
/** A part of the former hit rate, and of the users, at which the region is back. */
const BACK_HITS = 0.95;
const BACK_USERS = 0.9;
/** It is back once that holds for so long: the first second is not yet what users have of it. */
const BACK_WINDOW_MS = 5000;

/** `afterwrite demo --failover`: a region's Redis is killed and comes back empty, with a warm-up before the traffic, and without. */
export function failoverDemo(output: Output, options: FailoverOptions, openCache: OpenDemoCache): Promise<number> {
  if ((process.env['AFTERWRITE_REDIS_EU'] ?? '') !== '')
    throw new BusError(
      'SETTING_INVALID',
      'AFTERWRITE_REDIS_EU: this demo kills the Redis of eu. Take the variable out, and it starts one of its own.',
    );
  return withFrame(output, options.json, (frame) => run(options, openCache, frame));
}

async function run(
  { log, seconds = STEADY_SECONDS }: FailoverOptions,
  openCache: OpenDemoCache,
  frame: DemoFrame,
): Promise<number> {
  const { output, say, json } = frame;
  say(`Afterwrite: the Redis of ${VICTIM} is killed while it is read, and comes back empty.`);
  const opened = await openBus(frame, { log, regions: [VICTIM, NEIGHBOUR], victim: VICTIM }, CUSTOMERS_PLAN);
  const failover = await Failover.open(opened, openCache, frame);
  const { withWarmup, withoutWarmup } = await failover.run(seconds * 1000);
  const stale = withWarmup.stale + withoutWarmup.stale;
  if (json) output.out.write(`${JSON.stringify(endObject(withWarmup, withoutWarmup))}\n`);
  else for (const line of endLines(withWarmup, withoutWarmup)) say(line);
  return stale === 0 && withWarmup.backMs !== null ? EXIT.ok : EXIT.failed;
}

class Failover {
  readonly #opened: OpenedBus;
  readonly #frame: DemoFrame;
  readonly #scene: FailoverScene;
  readonly #victim: Victim;
  #phase = 'steady';

  private constructor(opened: OpenedBus, frame: DemoFrame, scene: FailoverScene, victim: Victim) {
    this.#opened = opened;
    this.#frame = frame;
    this.#scene = scene;
    this.#victim = victim;
  }

  static async open(opened: OpenedBus, openCache: OpenDemoCache, frame: DemoFrame): Promise<Failover> {
    const { servers, bus } = opened;
    const config = await loadConfig([bus.configPath], process.env);
    const server = servers.caches.get(VICTIM);
    if (server === undefined) throw new Error(`There is no Redis of ${VICTIM}.`);
    const victim = new Victim(server, keyspaceOf(config, regionOf(config, VICTIM)).gate);
    frame.cleanups.push(() => victim.stop());
    return new Failover(opened, frame, await FailoverScene.open(config, openCache, frame), victim);
  }

  async run(steadyMs: number): Promise<{ readonly withWarmup: Act; readonly withoutWarmup: Act }> {
    const { say, ending, cleanups } = this.#frame;
    const over = new AbortController();
    const showing = showActs(this.#frame, this.#scene, () => this.#phase, over.signal);
    cleanups.push(async () => {
      over.abort();
      await showing;
    });
    say(`Users read for ${steadyMs / 1000} s: their caches fill, and what they read most is published.`);
    await sleep(steadyMs, undefined, { signal: ending.signal });
    this.#scene.calm();
    await this.#warmUp();
    const withWarmup = await this.#act('with a warm-up', true, Math.min(steadyMs, QUIET_MAX_MS));
    this.#phase = 'steady';
    await sleep(Math.min(steadyMs, BETWEEN_MAX_MS), undefined, { signal: ending.signal });
    const withoutWarmup = await this.#act('without', false, Math.min(steadyMs, QUIET_MAX_MS));
    over.abort();
    await showing;
    return { withWarmup, withoutWarmup };
  }

  /** The region's Redis is lost, and comes back. With a gate its users stay away until it lets them in. */
  async #act(name: string, isGated: boolean, quietForMs: number): Promise<Act> {
    const { signal } = this.#frame.ending;
    const { users, database } = this.#scene;
    const over = new AbortController();
    const stopped = AbortSignal.any([signal, over.signal]);
    const writing = this.#scene.write(stopped);
    const asking = isGated ? this.#askGate(stopped) : undefined;
    try {
      const quietMs = performance.now();
      await sleep(quietForMs, undefined, { signal });
      const killMs = performance.now();
      this.#phase = `${name}: away`;
      await this.#victim.kill();
      await sleep(AWAY_MS, undefined, { signal });
      await this.#victim.restart();
      const returnMs = performance.now();
      this.#phase = `${name}: empty`;
      await this.#victim.until(({ state }) => state === 'COLD', signal);
      const coldMs = performance.now();
      if (isGated) {
        this.#phase = `${name}: warming`;
        await this.#warmUp();
      }
      const warmMs = performance.now();
      const before = users.hitRate(quietMs, killMs) ?? 0;
      const backMs = await this.#back(before);
      this.#phase = `${name}: back`;
      const openMs = isGated ? warmMs : returnMs;
      await sleep(Math.max(0, openMs + AFTER_MS - performance.now()) + AFTER_MS, undefined, { signal });
      const endMs = performance.now();
      over.abort();
      await writing;
      return {
        detectedMs: Math.round(coldMs - returnMs),
        warmMs: isGated ? Math.round(warmMs - coldMs) : null,
        backMs: backMs === null ? null : Math.round(backMs - returnMs),
        hitRate: { before, after: users.hitRate(openMs, openMs + AFTER_MS) },
        databaseP99Ms: {
          quiet: database.p99(quietMs, killMs),
          during: database.p99(killMs, backMs ?? endMs),
          after: database.p99(backMs ?? endMs, endMs),
        },
        stale: await this.#scene.stale(),
      };
    } finally {
      over.abort();
      await Promise.allSettled([writing, asking]);
      users.admit = 1;
    }
  }

  async #warmUp(): Promise<void> {
    const { bus, folder } = this.#opened;
    const args = ['warmup', '--json', '--region', VICTIM, '--config', bus.configPath];
    const task = { name: 'warm-up', args, env: {}, folder, port: await freePort() };
    await runTask(task, this.#frame.ending.signal);
  }

  /** When the users were back, and the cache answered nearly as many of them as before; null where that did not come about. */
  async #back(hitRateBefore: number): Promise<number | null> {
    const { users } = this.#scene;
    const { signal } = this.#frame.ending;
    const isBack = async (): Promise<boolean> => {
      const nowMs = performance.now();
      const hitRate = users.hitRate(nowMs - BACK_WINDOW_MS, nowMs) ?? 0;
      return hitRate >= hitRateBefore * BACK_HITS && users.share(nowMs - BACK_WINDOW_MS, nowMs) >= BACK_USERS;
    };
    try {
      await until('the region is back', signal, isBack, BACK_LIMIT_MS);
      return performance.now();
    } catch (error) {
      if (signal.aborted) throw error;
      return null;
    }
  }

  /** What a load balancer of several regions does: it asks the gate, and sends so much. */
  async #askGate(signal: AbortSignal): Promise<void> {
    const { caches, users } = this.#scene;
    while (!signal.aborted) {
      const gate = await caches[0]?.regionState().catch(() => undefined);
      users.admit = gate?.admit ?? 0;
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
