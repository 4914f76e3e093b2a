// npm test: every test, on real servers that the tests start by themselves. `npm test -- FILE...` runs some.
// Tests without servers run side by side; those with servers two at a time, since each starts its own.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

const given = process.argv.slice(2);
const files =
  given.length > 0
    ? given
    : ['unit', 'properties', 'contract', 'simulation', 'kubernetes', 'chart', 'integration'].flatMap((kind) =>
        globSync(`test/${kind}/*.test.ts`).toSorted(),
      );
// Helm is built where there is none: minutes, once, which no test's own time has room for.
if (files.some((file) => file.includes('test/chart/'))) {
  const { status } = spawnSync(process.execPath, ['scripts/chart-tools.js'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
const reporter = ['--test-reporter=spec', '--test-reporter-destination=stdout'];
// In CI a test that does not run is a failure: the reporter beside the first counts them.
const strict =
  process.env.CI === undefined ? [] : ['--test-reporter=./scripts/no-skips.js', '--test-reporter-destination=stderr'];
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-concurrency=2', '--test-timeout=300000', ...reporter, ...strict, ...files],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
