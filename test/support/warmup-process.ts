// A warm-up as a process, on hot keys and a gate of its own memory: warmup-process.ts FILE FAMILY KEYS [--moved MS]
import { runWarmup } from '../../src/bin/warmup.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { MemoryWarmGate, zipfParts } from './memory-warmup.ts';
import { REGION } from './warmup-lab.ts';

const [path = '', family = '', keys = '', movedMs] = process.argv.slice(2);
const config = await loadConfig([path], process.env, () => undefined);
const region = config.regions.get(REGION);
if (region === undefined) throw new Error('no region');
const hotKeys = { of: () => zipfParts(family, Number(keys)) };
const gate = new MemoryWarmGate();
if (movedMs !== undefined) setTimeout(() => gate.move('e2'), Number(movedMs)).unref();
const options = { mode: 'eager', from: REGION, isPlan: false, shard: { shard: 0, of: 1 }, json: true } as const;
process.exitCode = await runWarmup(config, region, options, async () => ({
  hotKeys,
  gate,
  close: async () => undefined,
}));
