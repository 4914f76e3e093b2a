// npm run bench:peers -- [--json] [--only name,name] [--scenario n]
import { parseArgs } from 'node:util';
import type { Peer, Settings } from './adapter.ts';
import { floorOf } from './floor.ts';
import { PEER_NAMES, peerNamed } from './registry.ts';
import type { Scenario } from './scenario.ts';
import { stale } from './scenarios/1-stale.ts';
import { stampede } from './scenarios/2-stampede.ts';
import { failingLoader } from './scenarios/3-failing-loader.ts';
import { frozen } from './scenarios/4-frozen.ts';
import { redisDown } from './scenarios/5-redis-down.ts';
import { commands } from './scenarios/6-commands.ts';
import { cpu } from './scenarios/7-cpu.ts';
import { type TableRow, tableOf } from './table.ts';
import { installedVersions, machine } from './versions.ts';

const SCENARIOS: readonly Scenario[] = [stale, stampede, failingLoader, frozen, redisDown, commands, cpu];
const SETTINGS: readonly Settings[] = ['default', 'best'];
/** In these the library waits and hardly computes, so that several are measured at once. */
const IDLE: ReadonlySet<Scenario> = new Set<Scenario>([frozen, redisDown]);
const IDLE_AT_ONCE = 4;
/** The best settings have deadlines, and a machine that is busy elsewhere passes them: a measurement may be begun again. */
const ATTEMPTS = 3;

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' }, scenario: { type: 'string' } },
});
const peers = await Promise.all((values.only?.split(',') ?? PEER_NAMES).map(peerNamed));
const scenarios = SCENARIOS.filter(({ number }) => values.scenario === undefined || String(number) === values.scenario);
if (scenarios.length === 0) throw new Error(`No scenario ${values.scenario}: 1 to ${SCENARIOS.length}`);

type Measured = Record<string, unknown>;
const results = new Map<string, Measured>();
const resultsOf = (peer: Peer, settings: Settings): Measured => {
  const name = `${peer.name} ${settings}`;
  const measured = results.get(name) ?? {};
  results.set(name, measured);
  return measured;
};
const startedAt = performance.now();

async function measure(scenario: Scenario, peer: Peer, settings: Settings): Promise<void> {
  const measured = resultsOf(peer, settings);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      measured[scenario.name] = await scenario.run(peer, settings);
      break;
    } catch (error) {
      console.error(`attempt ${attempt} of ${ATTEMPTS}: ${scenario.name} ${peer.name} ${settings}`, error);
      measured[scenario.name] = { failed: error instanceof Error ? error.message : String(error) };
      if (attempt === ATTEMPTS) process.exitCode = 1;
    }
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.error(`${seconds.padStart(4)} s  ${scenario.number} ${scenario.name}  ${peer.name} ${settings}`);
}

const versions = await installedVersions(peers);

for (const peer of peers) {
  const packages = peer.packages.map((name) => `${name} ${versions[name]}`).join(', ');
  console.log(`${peer.name} (${packages})`);
  for (const settings of SETTINGS) console.log(`  ${settings.padEnd(7)}  ${peer.settings[settings]}`);
}
console.log(`Node ${versions['node']}, Redis ${versions['redis']}, ${machine().cores} cores\n`);

for (const scenario of scenarios) {
  const waiting = peers.flatMap((peer) => SETTINGS.map((settings) => ({ peer, settings })));
  const measureNext = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      await measure(scenario, next.peer, next.settings);
  };
  await Promise.all(Array.from({ length: IDLE.has(scenario) ? IDLE_AT_ONCE : 1 }, measureNext));
  // Each table as soon as it is whole: a run that is cut short has shown what it had.
  console.log(
    tableOf(
      scenario,
      peers.flatMap((peer) => rowsOf(scenario, peer)),
    ),
  );
}

function rowsOf(scenario: Scenario, peer: Peer): readonly TableRow[] {
  return SETTINGS.map((settings) => {
    const result = resultsOf(peer, settings)[scenario.name];
    const hasFailed = typeof result === 'object' && result !== null && 'failed' in result;
    return {
      peer: peer.name,
      version: versions[peer.packages[0] ?? ''] ?? '',
      settings,
      cells: hasFailed ? scenario.headings.map(() => 'failed') : scenario.cells(result),
    };
  });
}

if (values.json) {
  const measured = Object.fromEntries(
    peers.map((peer) => [
      peer.name,
      Object.fromEntries(
        SETTINGS.map((settings) => [settings, { settings: peer.settings[settings], ...resultsOf(peer, settings) }]),
      ),
    ]),
  );
  console.log(JSON.stringify({ versions, machine: machine(), peers: measured, floor: floorOf([...results.values()]) }));
}

// A server whose start failed may still hold this process open; its guard ends it once this process is gone.
process.stdout.write('', () => process.exit());
