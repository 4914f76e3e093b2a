import { judgeFill } from '../../src/protocol/fill.ts';
import { judgeHit } from '../../src/protocol/hit.ts';
import { batchFacts, CELLS, KEYS } from './catalog.ts';
import type { SimRegion } from './region.ts';
import type { Simulation } from './simulation.ts';

/** After faults and writes have stopped: what is served is the truth, and what is not there can be stored. */
export function checkConverged(simulation: Simulation): void {
  const { world, postgres, regions } = simulation;
  for (const region of regions) {
    for (const key of KEYS) {
      const reply = region.redis.read(key, { ttl: true, watermark: false });
      const verdict = judgeHit(reply, 0);
      const truth = key.rows.map((row) => postgres.visible[row]?.id).join(',');
      if (verdict.kind === 'hit' && verdict.value.payload !== truth)
        world.fail(
          'I7',
          `${region.name} serves ${key.key}=${verdict.value.payload} in calm, and ${truth} is the truth`,
        );
      if (verdict.kind === 'hit') continue;
      const fault = storeFault(simulation, region, key.index, truth);
      if (fault !== undefined) world.fail('I7', `${key.key} cannot be stored in ${region.name} in calm: ${fault}`);
    }
    for (let cell = 0; cell < CELLS; cell++) checkReplay(simulation, region, cell);
  }
}

function storeFault(
  { world, postgres }: Simulation,
  region: SimRegion,
  index: number,
  payload: string,
): string | undefined {
  const key = KEYS[index] as (typeof KEYS)[number];
  // A lease of a get that has ended without an answer stands until its time.
  region.drop(key, 'memory');
  const token = world.name('c');
  const { rule } = key;
  const reply = region.redis.lease(key, { token, leaseMs: 1000, rule, staleMs: 0, waits: false });
  if (reply.kind !== 'leased') return reply.kind;
  const verdict = judgeFill(reply.reading, { kind: 'primary', timeline: postgres.branch.timeline });
  if (verdict.kind === 'refuse') return verdict.why;
  const { epoch, offset } = reply.reading;
  const request = { token, epoch, offset, bound: verdict.bound, rule, tagMarks: [], ttlMs: 3000, payload, id: token };
  const stored = region.redis.store(key, request);
  if (key.by === 'tag') region.drop(key, 'memory');
  return stored.kind === 'stored' ? undefined : stored.why;
}

/** Replaying a suffix of the log changes nothing: each record is refused, or says what is known. */
function checkReplay({ world, log }: Simulation, region: SimRegion, cell: number): void {
  world.seen.suffixReplayed += 1;
  region.checkReplay(cell, log, batchFacts(region.replicas.length > 0));
}
