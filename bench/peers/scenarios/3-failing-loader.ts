import type { BurstResult } from '../calls.ts';
import { inLab } from '../lab.ts';
import type { Scenario } from '../scenario.ts';

const CALLERS = 125;
const LOAD_MS = 20;
const CAP_MS = 30_000;

export const failingLoader: Scenario<BurstResult> = {
  number: 3,
  name: 'failingLoader',
  title: `${CALLERS} callers of one key in one process, whose loader throws after ${LOAD_MS} ms`,
  headings: ['loads', 'rejections', 'given undefined', 'error'],
  run: (peer, settings) =>
    inLab(peer, settings, async ({ start }) => {
      const process = await start();
      const options = { callersPerKey: CALLERS, loadMs: LOAD_MS, isFailing: true, capMs: CAP_MS };
      return process.call('burst', { ...options, keys: ['failing'] });
    }),
  cells: ({ loads, rejections, empty, unchanged, errorNames }) => [
    String(loads),
    String(rejections),
    String(empty),
    errorOf(rejections, unchanged, errorNames),
  ],
};

function errorOf(rejections: number, unchanged: number, names: readonly string[]): string {
  if (rejections === 0) return 'swallowed';
  return unchanged === rejections ? 'unchanged' : `replaced (${names.join(', ')})`;
}
