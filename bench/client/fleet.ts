import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { startRedis } from '../../src/stack/redis.ts';
import { CacheRegion } from '../../test/support/cache-region.ts';
import { medianOf, type Row } from './row.ts';

const PROCESSES = 8;
const CALLERS = 125;
const ROUNDS = 7;

export interface FleetOrder {
  readonly id: string;
  readonly callers: number;
}
export interface FleetAnswer {
  readonly loads: number;
  readonly values: number;
}

/** Loads of one cold key that 8 processes of 125 callers each ask for in one moment. */
export async function fleet(): Promise<Row> {
  const server = await startRedis();
  const region = await CacheRegion.open(server.url);
  const children: ChildProcess[] = [];
  try {
    await region.begin();
    for (let i = 0; i < PROCESSES; i++)
      children.push(fork(new URL('fleet-caller.ts', import.meta.url), [server.url], { stdio: 'inherit' }));
    await Promise.all(children.map((child) => once(child, 'message')));
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const answers = children.map((child) => once(child, 'message'));
      const order: FleetOrder = { id: `cold${round}`, callers: CALLERS };
      for (const child of children) child.send(order);
      const told = (await Promise.all(answers)).map(([answer]) => answer as FleetAnswer);
      if (told.some(({ values }) => values !== CALLERS)) throw new Error('A caller was left without the value.');
      rounds.push(told.reduce((sum, { loads }) => sum + loads, 0));
    }
    const loads = medianOf(rounds);
    return {
      what: `loads for ${PROCESSES} processes x ${CALLERS} callers on one cold key`,
      figure: `${loads} (rounds: ${rounds.join(', ')})`,
      target: '1',
      isMet: loads <= 1,
      data: { loads, rounds, processes: PROCESSES, callers: CALLERS },
    };
  } finally {
    const ended = children.map((child) => once(child, 'exit'));
    for (const child of children) child.disconnect();
    await Promise.all(ended);
    await region.close();
    await server.stop();
  }
}
