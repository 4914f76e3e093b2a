import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadline } from '../../src/drivers/redis/deadline.ts';
import { BusError } from '../../src/protocol/errors.ts';

const explain = (error: unknown): BusError => new BusError('REDIS_COMMAND_FAILED', String(error));
const busyFor = (ms: number): void => {
  for (const until = performance.now() + ms; performance.now() < until;);
};

test('a command without an answer fails, each in its order, and one that is answered does not', async () => {
  const deadline = new Deadline(5);
  const never = new Promise<string>(() => undefined);
  const late = [deadline.watch(never, explain), deadline.watch(never, explain)];
  const inTime = deadline.watch(Promise.resolve('answer'), explain);
  assert.equal(await inTime, 'answer');
  for (const one of late) await assert.rejects(one, { code: 'REDIS_UNREACHABLE' });
  await assert.rejects(deadline.watch(Promise.reject(new Error('no')), explain), { code: 'REDIS_COMMAND_FAILED' });
  await assert.rejects(deadline.watch(never, explain), { code: 'REDIS_UNREACHABLE' }, 'the queue goes on');
});

test('a process that was busy for longer than the limit reads what came meanwhile, before it calls an answer late', async () => {
  const { createServer, connect } = await import('node:net');
  const server = createServer((socket) => socket.write('answer')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
  const watched = new Deadline(20).watch(answer, explain);
  busyFor(60);
  assert.equal(await watched, 'answer');
  socket.destroy();
  server.close();
});
