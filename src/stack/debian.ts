import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
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

/** Installs Debian packages without starting their services. Throws `STACK_UNAVAILABLE` with the end of what apt-get says. */
export async function installPackages(names: readonly string[], say: Say): Promise<void> {
  say(`installing ${names.join(', ')} with apt-get`);
  const hadPolicy = existsSync(POLICY);
  if (!hadPolicy) await writeFile(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    // Another apt-get may hold the lock for a while.
    const lock = ['-o', 'DPkg::Lock::Timeout=300'];
    const install = ['-y', '-qq', '--no-install-recommends', ...lock, 'install', ...names];
    await run('apt-get', ['-qq', ...lock, 'update'], { env });
    await run('apt-get', install, { env, maxBuffer: 64 << 20 });
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { readonly stderr?: string };
    const said = stderr.trim() || message;
    throw new BusError(
      'STACK_UNAVAILABLE',
      `${names.join(', ')} could not be installed. Try \`apt-get update && apt-get install ${names.join(' ')}\`. apt-get said:\n${said.split('\n').slice(-LINES_SHOWN).join('\n')}`,
      { cause },
    );
  } finally {
    if (!hadPolicy) await rm(POLICY, { force: true });
  }
}
