import { inLab } from '../lab.ts';
import { median } from '../median.ts';
import type { Scenario } from '../scenario.ts';

const PROCESSES = 8;
const CALLERS = 125;
const LOAD_MS = 100;
const ROUNDS = 3;
const CAP_MS = 10_000;

interface Result {
  readonly processes: number;
  readonly callersPerProcess: number;
  /** Loads a round, and their median. */
  readonly rounds: readonly number[];
  readonly loads: number;
  /** Callers without the value, over all rounds. */
  readonly withoutValue: number;
}

export const stampede: Scenario<Result> = {
  number: 2,
  name: 'stampede',
  title: `Loads for ${PROCESSES} processes of ${CALLERS} callers on one cold key, loader ${LOAD_MS} ms (median of ${ROUNDS})`,
  headings: ['loads', 'callers without a value'],
  run: (peer, settings) =>
    inLab(peer, settings, async ({ start }) => {
      // Two at a time, since a start is work for a core.
      const processes = [];
      while (processes.length < PROCESSES) processes.push(...(await Promise.all([start(), start()])));
      const rounds: number[] = [];
      let withoutValue = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const options = { callersPerKey: CALLERS, loadMs: LOAD_MS, isFailing: false, capMs: CAP_MS };
        const results = await Promise.all(
          processes.map((process) => process.call('burst', { ...options, keys: [`cold:${round}`] })),
        );
        rounds.push(results.reduce((sum, { loads }) => sum + loads, 0));
        withoutValue += results.reduce((sum, { values }) => sum + CALLERS - values, 0);
      }
      return { processes: PROCESSES, callersPerProcess: CALLERS, rounds, loads: median(rounds), withoutValue };
    }),
  cells: ({ loads, withoutValue }) => [String(loads), String(withoutValue)],
};
