import { chown, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BusError, isBusError } from '../protocol/errors.ts';
import type { Say } from './debian.ts';
import { hasDocker, startContainer } from './docker.ts';
import { type GuardedProcess, startGuarded, untilReady } from './guarded-process.ts';
import { freePort, temporaryFolder, unprivilegedUser } from './place.ts';
import { findPostgresPrograms, type PostgresMajor } from './postgres-programs.ts';

export interface PostgresServer {
  /** A superuser's URL of the database `postgres`. */
  readonly url: string;
  readonly replicaUrl: string | undefined;
  readonly chosen: string;
  /** Undefined where it was given, and is not ours to end. */
  readonly primary: PostgresInstance | undefined;
  readonly replica: PostgresInstance | undefined;
  stop(): Promise<void>;
}

export interface PostgresInstance {
  readonly port: number;
  readonly process: GuardedProcess;
  /** `fast` ends sessions in order; `immediate` is a crash. */
  stop(mode: 'fast' | 'immediate'): Promise<void>;
  /** Starts it again in its old place after a stop. */
  start(): Promise<PostgresInstance>;
}

export interface PostgresOptions {
  /** A primary that runs already, and its replica. */
  readonly url?: string | undefined;
  readonly replicaUrl?: string | undefined;
  /** Any from 15 on if not given. */
  readonly major?: PostgresMajor;
  readonly replica?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  readonly say?: Say;
}

/** What logical decoding and a replica need. Nothing here has to survive a loss of power, so nothing waits for the disk. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  max_connections: '200',
  wal_keep_size: '256MB',
  fsync: 'off',
  shared_buffers: '64MB',
  hot_standby: 'on',
};

/** Finds or starts Postgres, with one streaming replica if asked. Throws `STACK_UNAVAILABLE` or `STACK_START_FAILED`. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  if (options.url !== undefined) {
    return {
      url: options.url,
      replicaUrl: options.replicaUrl,
      chosen: 'the given URL',
      primary: undefined,
      replica: undefined,
      stop: async () => undefined,
    };
  }
  const folder = await temporaryFolder('postgres');
  try {
    const programs = await findPostgresPrograms(options.major, join(folder.path, 'postgres'));
    const data = join(folder.path, 'primary');
    await initialise(programs.bin, data, options.settings ?? {});
    const standbyData = join(folder.path, 'replica');
    if (options.replica === true) await cp(data, standbyData, { recursive: true });
    const primary = await startInstance(programs.bin, data, await freePort());
    const replica =
      options.replica === true
        ? await startStandby(programs.bin, standbyData, primary.port).catch(async (error: unknown) => {
            await primary.stop('immediate');
            throw error;
          })
        : undefined;
    return {
      url: urlOf(primary.port),
      replicaUrl: replica === undefined ? undefined : urlOf(replica.port),
      chosen: programs.chosen,
      primary,
      replica,
      stop: async () => {
        await Promise.all([replica?.stop('immediate'), primary.stop('immediate')]);
        await folder.remove();
      },
    };
  } catch (error) {
    await folder.remove();
    if (isBusError(error, 'STACK_UNAVAILABLE') && (await hasDocker())) return startInDocker(options);
    throw error;
  }
}

/** A primary alone: its replica would need its folder. */
async function startInDocker(options: PostgresOptions): Promise<PostgresServer> {
  const port = await freePort();
  const settings = Object.entries({ ...SETTINGS, ...options.settings, listen_addresses: '*' }).flatMap(
    ([name, value]) => ['-c', `${name}=${value}`],
  );
  const image = `postgres:${options.major ?? 18}`;
  const container = await startContainer({
    image,
    ports: new Map([[port, 5432]]),
    env: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
    command: ['postgres', ...settings],
    ready: ['pg_isready', '-h', '127.0.0.1', '-U', 'postgres'],
  });
  return {
    url: urlOf(port),
    replicaUrl: undefined,
    chosen: `Docker (${image})`,
    primary: undefined,
    replica: undefined,
    stop: container.stop,
  };
}

function urlOf(port: number): string {
  return `postgres://postgres@127.0.0.1:${port}/postgres`;
}

async function initialise(bin: string, data: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const user = unprivilegedUser();
  await mkdir(data, { mode: 0o700 });
  if (user !== undefined) await chown(data, user.uid, user.gid);
  const args = ['-D', data, '-U', 'postgres', '-A', 'trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
  const initdb = await startGuarded(join(bin, 'initdb'), args, { cwd: data, ...(user === undefined ? {} : { user }) });
  await initdb.ended;
  const all = { ...SETTINGS, unix_socket_directories: data, ...settings };
  const lines = Object.entries(all).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  const file = join(data, 'postgresql.conf');
  // If initdb failed, its own words stand in the error that the missing file causes.
  const given = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new BusError('STACK_START_FAILED', `initdb failed:\n${initdb.lastLines()}`, { cause });
  });
  await writeFile(file, given + lines.join(''));
}

/** A standby of a primary that never ran before the copy: its folder was copied while the server was down. */
async function startStandby(bin: string, data: string, primaryPort: number): Promise<PostgresInstance> {
  const user = unprivilegedUser();
  const settings = `primary_conninfo = 'host=127.0.0.1 port=${primaryPort} user=postgres application_name=replica'\nunix_socket_directories = '${data}'\n`;
  await writeFile(join(data, 'postgresql.auto.conf'), settings);
  await writeFile(join(data, 'standby.signal'), '');
  if (user !== undefined) await giveAway(data, user);
  return startInstance(bin, data, await freePort());
}

async function giveAway(folder: string, user: { readonly uid: number; readonly gid: number }): Promise<void> {
  const chownAll = await startGuarded('chown', ['-R', `${user.uid}:${user.gid}`, folder]);
  await chownAll.ended;
}

async function startInstance(bin: string, data: string, port: number): Promise<PostgresInstance> {
  const user = unprivilegedUser();
  await rm(join(data, 'postmaster.pid'), { force: true });
  const server = await startGuarded(join(bin, 'postgres'), ['-D', data, '-p', String(port)], {
    cwd: data,
    ...(user === undefined ? {} : { user }),
  });
  await untilReady('postgres', server, () => isReady(data));
  return {
    port,
    process: server,
    stop: (mode) => server.stop(mode === 'fast' ? 'SIGINT' : 'SIGQUIT', 30_000),
    start: () => startInstance(bin, data, port),
  };
}

/** The postmaster writes its state into the eighth line of its lock file; pg_ctl waits for the same word. */
async function isReady(data: string): Promise<boolean> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
  return text.split('\n')[7]?.trim() === 'ready';
}
