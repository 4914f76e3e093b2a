import assert from 'node:assert/strict';
import { loadavg } from 'node:os';
import { after, before, test } from 'node:test';
import { RollingLab } from './rolling-lab.ts';

/** The same promise on each kind of log. The gaps are told, and judged by nobody: what they may be depends on the machine. */
export function testRollingRestart(log: 'kafka' | 'redis-streams'): void {
  let lab: RollingLab;

  before(async () => {
    lab = await RollingLab.open(log);
  });

  after(() => lab?.close());

  test(`three agents restarted in turn and one killed, under load on ${log}: every change arrives, and no epoch begins`, async (t) => {
    const epochs = await lab.epochs();
    const gaps = await lab.round();
    const missed = await lab.missed();
    for (const [what, ms] of Object.entries(gaps)) t.diagnostic(`longest gap, ${what}: ${Math.round(ms)} ms`);
    t.diagnostic(`load average ${loadavg().map((load) => load.toFixed(1))[0]}`);
    assert.deepEqual(missed, [], missed.length === 0 ? undefined : await lab.stage.logTails(40));
    assert.deepEqual(await lab.epochs(), epochs);
  });
}
