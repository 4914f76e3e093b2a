// The process in which a library runs: it answers the calls of calls.ts, one message each, until it is killed.
import process from 'node:process';
import type { PeerCache, Row } from './adapter.ts';
import { burst } from './burst.ts';
import { type CallInput, type CallName, type CallOutput, type Entry, type ReadResult, rowOf } from './calls.ts';
import { measureLocalHits, measureRedisHits } from './cpu.ts';
import { peerNamed } from './registry.ts';

let opened: PeerCache | undefined;
let release: () => void = () => undefined;
/** Errors that the library left to nobody: without these listeners each would have ended the application. */
let uncaught = 0;
let held: Promise<PromiseSettledResult<Row | undefined>[]> = Promise.resolve([]);

function cache(): PeerCache {
  if (opened === undefined) throw new Error('This worker has no cache yet: `open` comes first.');
  return opened;
}

async function read(entries: readonly Entry[], version: number): Promise<ReadResult> {
  let loads = 0;
  const versions: (number | null)[] = [];
  for (const { key, tags } of entries) {
    const load = async (): Promise<Row> => {
      loads++;
      return rowOf(key, version);
    };
    const row = await cache().get(key, load, tags);
    versions.push(row?.version ?? null);
  }
  return { versions, loads };
}

async function hold(entries: readonly Entry[], version: number): Promise<void> {
  const released = new Promise<void>((resolve) => (release = resolve));
  const begun: Promise<void>[] = [];
  const gets: Promise<Row | undefined>[] = [];
  for (const { key, tags } of entries) {
    begun.push(
      new Promise<void>((resolve, reject) => {
        const load = async (): Promise<Row> => {
          resolve();
          await released;
          return rowOf(key, version);
        };
        const get = Promise.resolve(cache().get(key, load, tags));
        gets.push(get);
        get.then(() => reject(new Error(`The get of ${key} returned without its loader`)), reject);
      }),
    );
  }
  held = Promise.allSettled(gets);
  await Promise.all(begun);
}

const calls: { [N in CallName]: (input: CallInput<N>) => Promise<CallOutput<N>> } = {
  open: async ({ peer, ...options }) => {
    opened = await (await peerNamed(peer)).open(options);
    // Connections and scripts are in place once a value has come back.
    await read([{ key: 'opened' }], 0);
    return {};
  },
  read: ({ entries, version }) => read(entries, version),
  hold: async ({ entries, version }) => {
    await hold(entries, version);
    return {};
  },
  release: async () => {
    release();
    const settled = await held;
    return { failed: settled.filter(({ status }) => status === 'rejected').length };
  },
  invalidateKeys: async ({ keys }) => {
    for (const key of keys) await cache().invalidateKey(key);
    return {};
  },
  invalidateTags: async ({ tags }) => {
    for (const tag of tags) await cache().invalidateTag?.(tag);
    return {};
  },
  changeUntold: async ({ keys }) => {
    for (const key of keys) await cache().changeUntold?.(key);
    return {};
  },
  burst: async (options) => {
    const before = uncaught;
    const result = await burst(cache(), options);
    return { ...result, uncaught: uncaught - before };
  },
  measureLocalHits: () => measureLocalHits(cache()),
  measureRedisHits: ({ redisUrl }) => measureRedisHits(cache(), redisUrl),
  close: async () => {
    await opened?.close();
    return {};
  },
};

interface Request {
  readonly id: number;
  readonly name: CallName;
  readonly input: never;
}

for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error) => {
    uncaught++;
    console.error(event, error);
  });
}
process.on('disconnect', () => process.exit(0));
process.on('message', ({ id, name, input }: Request) => {
  calls[name](input).then(
    (output) => process.send?.({ id, output }),
    (error: unknown) => process.send?.({ id, failed: error instanceof Error ? String(error.stack) : String(error) }),
  );
});
