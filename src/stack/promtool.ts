import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BusError } from '../protocol/errors.ts';
import { cacheFolder, makeCached } from './cache-folder.ts';
import type { Say } from './debian.ts';
import { isRoot, programInPath } from './place.ts';

const run = promisify(execFile);

/** The package is taken apart rather than installed: of a whole server one program is wanted. */
const FETCH = `
  if [ "$0" = root ]; then apt-get -qq -o DPkg::Lock::Timeout=300 update; fi
  apt-get -qq -o APT::Sandbox::User=root download prometheus
  dpkg-deb -x prometheus_*.deb .`;

/** Finds promtool, which judges and tests alerts: the machine's, else that of Debian's package, fetched once. Throws `STACK_UNAVAILABLE`. */
export async function findPromtool(say: Say = () => undefined): Promise<string> {
  const present = programInPath('promtool');
  if (present !== undefined) return present;
  const fetched = join(cacheFolder(), 'promtool', 'promtool');
  if (existsSync(fetched)) return fetched;
  say('fetching promtool out of Debian’s package prometheus (once)');
  try {
    await makeCached('promtool', async (work) => {
      await run('sh', ['-euc', FETCH, isRoot() ? 'root' : 'user'], { cwd: work, maxBuffer: 64 << 20 });
      return join(work, 'usr', 'bin');
    });
  } catch (cause) {
    throw new BusError(
      'STACK_UNAVAILABLE',
      'No promtool: it is not in PATH, and Debian’s package prometheus, which has it, could not be fetched. Install Prometheus.',
      { cause },
    );
  }
  return fetched;
}
