// npm run simulate -- [--seed N] [--steps M] [--workers K] [--json] [--plant NAME] [--keep]: the whole system in one process, see docs/SIMULATION.md.
import { main } from '../test/simulation/simulate.ts';

process.exitCode = await main(process.argv.slice(2));
