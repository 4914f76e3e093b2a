import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BusError } from '../protocol/errors.ts';
import { cacheFolder, makeCached } from './cache-folder.ts';
import { canInstallPackages, installPackages, type Say } from './debian.ts';
import { programInPath } from './place.ts';

const run = promisify(execFile);

/** The oldest Helm that the chart is rendered by, and the newest. */
export const HELM = {
  oldest: { version: 'v3.6.3', module: 'helm.sh/helm/v3' },
  newest: { version: 'v4.3.1', module: 'helm.sh/helm/v4' },
} as const;

export type HelmAge = keyof typeof HELM;

const BUILD_TIMEOUT_MS = 1_800_000;

/** Finds Helm: the machine's, if its major and minor version are asked for, else one that is built with Go, once. Throws `STACK_UNAVAILABLE`. */
export async function findHelm(age: HelmAge, say: Say = () => undefined): Promise<string> {
  const { version, module } = HELM[age];
  const present = programInPath('helm');
  if (present !== undefined && minorOf(await versionOf(present)) === minorOf(version)) return present;
  const name = `helm-${version}`;
  const built = join(cacheFolder(), name, 'helm');
  if (existsSync(built)) return built;
  const go = await findGo(say);
  say(`building Helm ${version} with Go (minutes, once)`);
  try {
    await makeCached(name, (work) => build(go, `${module}@${version}`, work));
  } catch (cause) {
    const { stderr, message } = cause as Error & { readonly stderr?: string };
    throw new BusError(
      'STACK_UNAVAILABLE',
      `Helm ${version} could not be built with ${go}: ${(stderr ?? message).trim().split('\n').slice(-3).join('\n')}`,
      { cause },
    );
  }
  return built;
}

/** Inside of the module's own folder: a module that replaces another, as Helm 3.6 does, is refused by `go install`. */
async function build(go: string, module: string, work: string): Promise<string> {
  const { GOTOOLCHAIN = 'auto' } = process.env;
  const env = { ...process.env, GOFLAGS: '-buildvcs=false', GOTOOLCHAIN, CGO_ENABLED: '0' };
  const limits = { env, maxBuffer: 64 << 20, timeout: BUILD_TIMEOUT_MS };
  const { stdout } = await run(go, ['mod', 'download', '-json', module], { ...limits, cwd: work });
  const { Dir: source } = JSON.parse(stdout) as { Dir: string };
  const [sources, made] = [join(work, 'sources'), join(work, 'made')];
  await cp(source, sources, { recursive: true });
  // What Go downloads cannot be written to, and has to be deleted again.
  await run('chmod', ['-R', 'u+w', sources]);
  await mkdir(made);
  // A third of the time is what the compiler spends on making it fast, and it renders one chart.
  const fast = ['-gcflags=all=-N -l', '-ldflags=-s -w'];
  await run(go, ['build', ...fast, '-o', join(made, 'helm'), './cmd/helm'], { ...limits, cwd: sources });
  return made;
}

async function findGo(say: Say): Promise<string> {
  const places = [programInPath('go'), '/usr/local/go/bin/go'];
  const present = places.find((place) => place !== undefined && existsSync(place));
  if (present !== undefined) return present;
  if (canInstallPackages()) {
    await installPackages(['golang-go'], say);
    const installed = programInPath('go');
    if (installed !== undefined) return installed;
  }
  throw new BusError(
    'STACK_UNAVAILABLE',
    'No Helm: it is neither in PATH nor built before, and there is no Go to build it. Install one of the two (helm.sh, go.dev).',
  );
}

async function versionOf(helm: string): Promise<string> {
  return run(helm, ['version', '--template', '{{.Version}}']).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  );
}

function minorOf(version: string): string {
  return /^v(\d+\.\d+)/.exec(version)?.[1] ?? '';
}
