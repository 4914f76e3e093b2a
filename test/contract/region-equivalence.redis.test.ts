import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { lsn } from '../../src/protocol/lsn.ts';
import { NOTHING_SETTLED } from '../../src/protocol/settled-mark.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { eventually } from '../support/eventually.ts';
import { seeded } from '../support/seeded.ts';
import { RandomCalls, type RegionCall, show } from './random-region-calls.ts';
import {
  begin,
  entryOf,
  leaseOf,
  openMemoryRegion,
  openRedisRegion,
  type RegionUnderTest,
  TOKEN,
} from './region-under-test.ts';

const SEQUENCES = Number(process.env['SEQUENCES'] ?? 600);
const OPENING = 3;
const CALLS = 30;

let server: RedisServer;

before(async () => {
  server = await startRedis();
});
after(async () => {
  await server?.stop();
});

interface Asked {
  readonly call: RegionCall;
  readonly answer: unknown;
  readonly expected: Promise<unknown>;
}

test('the region in memory answers every call as Redis does, in random sequences of calls and mishaps', async (t) => {
  const seed = Number(process.env['REGION_SEED'] ?? randomInt(2 ** 31));
  t.diagnostic(`REGION_SEED=${seed} repeats it`);
  const real = await openRedisRegion(server.url, server.url);
  const kinds = new Map<string, number>();
  try {
    await sendScripts(real);
    for (let sequence = 0; sequence < SEQUENCES; sequence++) {
      await real.empty();
      const told = real.leaseEnds.length;
      const memory = await openMemoryRegion();
      const asked = await play(memory, real, seed + sequence);
      const trace = (upTo: number): string =>
        asked
          .slice(0, upTo + 1)
          .map(({ call, answer }) => `${call.name}\n    ${show(answer)}`)
          .join('\n');
      for (const [i, { call, answer, expected }] of asked.entries()) {
        count(kinds, call.name, answer);
        const message = (): string =>
          `REGION_SEED=${seed + sequence} SEQUENCES=1, call ${i}:\n${trace(i)}\nRedis: ${show(wanted)}`;
        const wanted = await expected;
        if (!isDeepStrictEqual(comparable(answer), comparable(wanted))) assert.fail(message());
      }
      const heard = (): readonly string[] => real.leaseEnds.slice(told);
      await eventually('lease ends are told', () => heard().length >= memory.leaseEnds.length);
      assert.deepEqual(memory.leaseEnds, heard(), `REGION_SEED=${seed + sequence}\n${trace(asked.length)}`);
    }
  } finally {
    await real.close();
  }
  // A comparison in which nothing happened would pass too.
  t.diagnostic(
    [...kinds]
      .map(([kind, n]) => `${kind} ${n}`)
      .toSorted()
      .join(', '),
  );
  if (SEQUENCES < 500) return;
  for (const kind of EXPECTED) assert.ok((kinds.get(kind) ?? 0) >= 3, `"${kind}" came ${kinds.get(kind) ?? 0} times`);
});

/** A script that the server does not know yet is sent twice, and so run late: each is called once before. */
async function sendScripts(real: RegionUnderTest): Promise<void> {
  const { agent, reader } = real;
  const entry = entryOf('user:1');
  await begin(real, entry.cell);
  await reader.lease(entry, leaseOf('T1'));
  await reader.store(entry, { ...STORE, token: 'T1' });
  await reader.leaseToWrite(entry, leaseOf('T1'));
  await reader.giveUp(entry, 'T1');
  await reader.read(entry, { ttl: false, watermark: false });
  await agent.beat([entry.cell], TOKEN);
  await agent.settleReplica([entry.cell], TOKEN, NOTHING_SETTLED);
  await agent.sweep(entry.cell, TOKEN, { family: 'user', keys: [entry.key], isPlain: true });
  await agent.clearSweeps(entry.cell, TOKEN, new Map([['*', '']]), new Map());
  await agent.release(entry.cell, TOKEN);
}

const STORE = { epoch: 'e1', offset: 1, bound: lsn(9), rule: 'h1', tagMarks: [], ttlMs: 1000, payload: null, id: 'i' };

/** Memory answers at once and decides what comes next; Redis gets the same calls in one row, and answers when it does. */
async function play(memory: RegionUnderTest, real: RegionUnderTest, seed: number): Promise<Asked[]> {
  const draws = new RandomCalls(memory, seeded(seed));
  const asked: Asked[] = [];
  const ask = async (call: RegionCall): Promise<void> => {
    const expected = call.run(real);
    expected.catch(() => undefined);
    asked.push({ call, answer: await call.run(memory), expected });
  };
  for (let step = 0; step < OPENING; step++) await ask(await draws.opening(step));
  for (let step = 0; step < CALLS; step++) await ask(await draws.next());
  for (const call of draws.closing()) await ask(call);
  return asked;
}

const EXPECTED = [
  ...['leased', 'held', 'live', 'lost', 'rules'].map((kind) => `lease ${kind}`),
  ...['leased', 'lost', 'rules'].map((kind) => `write-lease ${kind}`),
  ...['stored', 'lease', 'lost', 'epoch', 'position', 'rules', 'mark'].map((kind) => `store ${kind}`),
  ...['applied', 'owner', 'position', 'lost'].map((kind) => `apply ${kind}`),
  ...['applied', 'owner', 'position'].map((kind) => `begin ${kind}`),
];

function count(kinds: Map<string, number>, name: string, answer: unknown): void {
  const { kind, why } = (answer ?? {}) as { kind?: string; why?: string };
  if (kind === undefined) return;
  const what = `${name.split(' ')[0]} ${why ?? kind}`;
  kinds.set(what, (kinds.get(what) ?? 0) + 1);
}

/** The two are asked at different moments: times are compared by the minute, and the end of a lease not at all. */
function comparable(answer: unknown): unknown {
  if (typeof answer === 'string') return answer.replace(/^(aw1 .*) (\w+):\d+(!?) /, '$1 $2:till$3 ');
  if (typeof answer !== 'object' || answer === null || !('slot' in answer)) return answer;
  const { ttlLeftMs, slot, ...rest } = answer as { slot: string | null; ttlLeftMs: number };
  return { ...rest, slot: comparable(slot), ttlLeftMs: Math.ceil(ttlLeftMs / 60_000) };
}
