// Runs before demo, test and check, on whatever Node the machine has (20 or newer). Installs the packages when they are missing or are
// not those of the lock file; among them is the Node that everything after it runs on.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const STAMP = 'node_modules/.afterwrite-lock';
const lock = readFileSync('package-lock.json', 'utf8');

if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== lock) {
  console.log('Installing packages with npm ci (once; about half a minute).');
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: 'inherit',
  });
  if (status !== 0) {
    console.error(
      `npm ci failed${error === undefined ? '' : `: ${error.message}`}. Afterwrite needs its packages to go on.`,
    );
    process.exit(2);
  }
  writeFileSync(STAMP, lock);
}
