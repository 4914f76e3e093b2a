import { BusError } from '../protocol/errors.ts';
import { canInstallPackages, installPackages, type Say } from './debian.ts';
import { hasDocker, startContainer } from './docker.ts';
import { type GuardedProcess, startGuarded, untilReady } from './guarded-process.ts';
import { acceptsConnections, freePort, programInPath, temporaryFolder } from './place.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** How it came about, in words for a person. */
  readonly chosen: string;
  /** Undefined where it was given, and is not ours to end. */
  readonly process: GuardedProcess | undefined;
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** A server that runs already. */
  readonly url?: string | undefined;
  /** Settings over those of a cache: no persistence, 256 MB, volatile-lru. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A port to take again, where a server is to come back in its old place. */
  readonly port?: number;
  readonly say?: Say;
}

/** A cache loses nothing that counts, so it keeps nothing on disk. */
const CACHE_SETTINGS = { save: '', appendonly: 'no', maxmemory: '256mb', 'maxmemory-policy': 'volatile-lru' };

/** A log must keep what it acknowledged. */
export const LOG_SETTINGS = {
  save: '',
  appendonly: 'yes',
  appendfsync: 'always',
  maxmemory: '0',
  'maxmemory-policy': 'noeviction',
};

/** Finds or starts a Redis server: a given URL, the machine's program, Debian's package. Throws `STACK_UNAVAILABLE`. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  if (options.url !== undefined) {
    return {
      url: options.url,
      port: Number(new URL(options.url).port || 6379),
      chosen: 'the given URL',
      process: undefined,
      stop: async () => undefined,
    };
  }
  const say = options.say ?? (() => undefined);
  const program = await findProgram(say);
  if (program === undefined) return startInDocker(options);
  const folder = await temporaryFolder('redis');
  try {
    const port = options.port ?? (await freePort());
    const settings = { ...CACHE_SETTINGS, ...options.settings };
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder.path];
    for (const [name, value] of Object.entries(settings)) args.push(`--${name}`, value);
    const server = await startGuarded(program, args);
    await untilReady('redis-server', server, () => acceptsConnections(port));
    return {
      url: `redis://127.0.0.1:${port}`,
      port,
      chosen: program,
      process: server,
      stop: async () => {
        await server.stop('SIGTERM', 2000);
        await folder.remove();
      },
    };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

/** The machine's program, or Debian's package; undefined where a container has to do. */
async function findProgram(say: Say): Promise<string | undefined> {
  const present = programInPath('redis-server');
  if (present !== undefined) return present;
  if (canInstallPackages()) {
    await installPackages(['redis-server'], say);
    const installed = programInPath('redis-server');
    if (installed !== undefined) return installed;
  }
  if (await hasDocker()) return undefined;
  throw new BusError(
    'STACK_UNAVAILABLE',
    'No Redis: there is no redis-server in PATH. Install it (Debian: `sudo apt-get install redis-server`; macOS: `brew install redis`), or use Docker: `docker compose up`.',
  );
}

async function startInDocker(options: RedisOptions): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const settings = Object.entries({ ...CACHE_SETTINGS, ...options.settings }).flatMap(([name, value]) => [
    `--${name}`,
    value,
  ]);
  const container = await startContainer({
    image: 'redis:8',
    ports: new Map([[port, 6379]]),
    command: ['redis-server', ...settings],
    ready: ['redis-cli', 'ping'],
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    chosen: 'Docker (redis:8)',
    process: undefined,
    stop: container.stop,
  };
}
