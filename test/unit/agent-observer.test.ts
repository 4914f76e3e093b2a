import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observeAgent } from '../../src/bin/agent-observer.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { Metrics } from '../../src/runtime/metrics.ts';

const PROGRESS = {
  owned: 4,
  stopped: 0,
  watermark: lsn(1),
  stalenessMs: 2000,
  lagRecords: 0,
  sweepsOwed: 0,
  settledReplica: null,
};

test('an agent without its Redis tells of no cell and no staleness, and one whose cells are others’ of no staleness', async () => {
  const metrics = new Metrics();
  const nothing = { info: () => undefined, warn: () => undefined };
  const observer = observeAgent('eu', metrics, nothing as never, {} as never);
  const told = async () => {
    const text = await metrics.text();
    return [/^afterwrite_agent_cells_owned.* (\S+)$/mu, /^afterwrite_agent_staleness_seconds\{.* (\S+)$/mu].map(
      (line) => line.exec(text)?.[1],
    );
  };
  observer.progress(PROGRESS);
  assert.deepEqual(await told(), ['4', '2']);
  observer.away(new BusError('REDIS_UNREACHABLE', 'gone'));
  assert.deepEqual(await told(), ['0', undefined]);
  observer.progress(PROGRESS);
  observer.progress({ ...PROGRESS, owned: 0, watermark: null, stalenessMs: null });
  assert.deepEqual(await told(), ['0', undefined]);
});
