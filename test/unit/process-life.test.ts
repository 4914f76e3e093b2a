import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import { live } from '../../src/runtime/process-life.ts';
import type { Service } from '../../src/runtime/service.ts';

interface Scene {
  readonly events: string[];
  signal(): void;
  readonly code: Promise<number>;
}

function start(services: readonly Service[], drainTimeoutMs = 5000, clock: Clock = systemClock): Scene {
  const events: string[] = [];
  const note = (event: string, fields?: object): void => void events.push(`${event} ${JSON.stringify(fields ?? {})}`);
  const log: Logger = { debug: note, info: note, warn: note, error: note, child: () => log };
  let listener: (signal: string) => void = () => undefined;
  const onSignal = (l: (signal: string) => void) => {
    listener = l;
    return () => undefined;
  };
  const code = live(services, {
    clock,
    log,
    onSignal,
    drainTimeoutMs,
    onDraining: () => events.push('draining'),
  });
  return { events, signal: () => listener('SIGTERM'), code };
}

/** A service that runs until it is drained or stopped, and writes down what happens to it. */
function steady(name: string, order: string[]): Service {
  const drained = Promise.withResolvers<void>();
  return {
    name,
    run: (stop) =>
      Promise.race([drained.promise, new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve()))]),
    drain: async () => {
      order.push(name);
      drained.resolve();
    },
  };
}

test('a signal drains the services in reverse order and ends with 0', async () => {
  const order: string[] = [];
  const scene = start([steady('first', order), steady('second', order)]);
  scene.signal();
  assert.equal(await scene.code, 0);
  assert.deepEqual(order, ['second', 'first']);
  assert.ok(scene.events.includes('draining'));
});

test('a service that fails drains the others and ends with 1', async () => {
  const order: string[] = [];
  const failing: Service = { name: 'failing', run: () => Promise.reject(new Error('broken')) };
  const scene = start([steady('steady', order), failing]);
  assert.equal(await scene.code, 1);
  assert.deepEqual(order, ['steady']);
  assert.ok(scene.events.some((event) => event.includes('broken')));
});

test('a service that ends by itself ends the process with 1', async () => {
  const scene = start([{ name: 'brief', run: async () => undefined }, steady('steady', [])]);
  assert.equal(await scene.code, 1);
});

test('a drain that passes its deadline ends with 1', async () => {
  const stuck: Service = {
    name: 'stuck',
    run: (stop) => new Promise((resolve) => stop.addEventListener('abort', () => resolve())),
    drain: () => new Promise(() => undefined),
  };
  const scene = start([stuck], 50);
  scene.signal();
  assert.equal(await scene.code, 1);
  assert.ok(scene.events.some((event) => event.startsWith('not drained in time')));
});

test('a second signal ends the drain at once', async () => {
  const stuck: Service = {
    name: 'stuck',
    run: (stop) => new Promise((resolve) => stop.addEventListener('abort', () => resolve())),
    drain: () => new Promise(() => undefined),
  };
  const scene = start([stuck], 600_000);
  scene.signal();
  scene.signal();
  assert.equal(await scene.code, 1);
});

test('a service that neither drains nor stops is waited for once, for the one deadline', async () => {
  const waits: number[] = [];
  const clock = { ...systemClock, sleep: (ms: number) => Promise.resolve(void waits.push(ms)) };
  const never = (): Promise<never> => new Promise(() => undefined);
  const scene = start([{ name: 'deaf', run: never, drain: never }], 5000, clock);
  scene.signal();
  assert.equal(await scene.code, 1);
  assert.deepEqual(waits, [5000]);
});

test('a service whose drain is done, but which goes on, is waited for until the one deadline', async () => {
  const waits: number[] = [];
  const late = Promise.withResolvers<void>();
  const clock = { ...systemClock, sleep: (ms: number) => (waits.push(ms), late.promise) };
  const stopped = Promise.withResolvers<void>();
  const run = (stop: AbortSignal): Promise<never> => {
    stop.addEventListener('abort', () => stopped.resolve());
    return new Promise(() => undefined);
  };
  const scene = start([{ name: 'goes on', run, drain: () => Promise.resolve() }], 5000, clock);
  scene.signal();
  await stopped.promise;
  late.resolve();
  assert.equal(await scene.code, 1);
  assert.deepEqual(waits, [5000]);
});
