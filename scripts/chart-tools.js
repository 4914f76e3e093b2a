// What the chart's tests take: Helm, of two versions, and promtool. What the machine has is taken; the rest is built or fetched, once, before tests with
// a time limit ask for it, and while nothing else runs: it takes both cores.
import { findHelm, HELM } from '../src/stack/helm.ts';
import { findPromtool } from '../src/stack/promtool.ts';

const say = (line) => console.log(`chart tools: ${line}`);

async function found(what, find) {
  const startedAt = performance.now();
  const path = await find();
  say(`${what} is ${path} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
}

try {
  for (const age of Object.keys(HELM)) await found(`Helm ${HELM[age].version}`, () => findHelm(age, say));
  await found('promtool', () => findPromtool(say));
} catch (error) {
  console.error(error.message);
  process.exit(2);
}
