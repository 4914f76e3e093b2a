import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { BusError } from '../protocol/errors.ts';
import { isRoot } from './place.ts';

const run = promisify(execFile);

/** Debian asks this script before a package starts its service; 101 forbids it (invoke-rc.d(8)). */
const POLICY = '/usr/sbin/policy-rc.d';

const LINES_SHOWN = 5;

export type Say = (line: string) => void;

/** Whether packages can be installed here without asking anyone: root on Debian or what descends from it. */
export function canInstallPackages(): boolean {
  return isRoot() && existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');
}

/**
 * Tests run side by side, and each may ask: one installs, the others wait. apt-get's own time-out covers dpkg's lock, not the one of its lists. Services
 * are forbidden to start for as long.
 */
const INSTALL = `
  if [ ! -e "$0" ]; then trap 'rm -f "$0"' EXIT; printf '#!/bin/sh\\nexit 101\\n' > "$0"; chmod 755 "$0"; fi
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  apt-get -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 install "$@"`;
const LOCK = '/run/lock/afterwrite-packages.lock';

/** Installs Debian packages without starting their services. Throws `STACK_UNAVAILABLE` with the end of what apt-get says. */
export async function installPackages(names: readonly string[], say: Say): Promise<void> {
  say(`installing ${names.join(', ')} with apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('flock', [LOCK, 'sh', '-euc', INSTALL, POLICY, ...names], { env, maxBuffer: 64 << 20 });
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { readonly stderr?: string };
    const said = stderr.trim() || message;
    throw new BusError(
      'STACK_UNAVAILABLE',
      `${names.join(', ')} could not be installed. Try \`apt-get update && apt-get install ${names.join(' ')}\`. apt-get said:\n${said.split('\n').slice(-LINES_SHOWN).join('\n')}`,
      { cause },
    );
  }
}
