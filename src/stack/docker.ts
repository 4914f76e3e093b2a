import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BusError } from '../protocol/errors.ts';
import { programInPath } from './place.ts';

const run = promisify(execFile);
const READY_TIMEOUT_MS = 90_000;

/** A server in a container: the last rung of the ladder, where an engine runs. */
export interface Container {
  readonly id: string;
  stop(): Promise<void>;
}

export interface ContainerOptions {
  readonly image: string;
  /** Ports of the loopback interface -> ports of the container. */
  readonly ports: ReadonlyMap<number, number>;
  readonly env?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  /** A command in the container that succeeds once the server is ready. */
  readonly ready: readonly string[];
}

/** Whether an engine answers; a client alone is no engine. */
export async function hasDocker(): Promise<boolean> {
  if (programInPath('docker') === undefined) return false;
  return run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: 10_000 }).then(
    ({ stdout }) => stdout.trim() !== '',
    () => false,
  );
}

/**
 * Runs a container that removes itself when it stops, and waits until it is ready. It outlives this process if that is killed outright: the
 * engine owns it. Throws `STACK_START_FAILED`.
 */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const { image, ports, env = {}, command = [], ready } = options;
  const args = ['run', '--rm', '--detach', '--label', 'afterwrite=demo'];
  for (const [host, inside] of ports) args.push('--publish', `127.0.0.1:${host}:${inside}`);
  for (const [name, value] of Object.entries(env)) args.push('--env', `${name}=${value}`);
  const { stdout } = await run('docker', [...args, image, ...command], { timeout: 600_000 }).catch((cause: unknown) => {
    throw new BusError('STACK_START_FAILED', `docker run ${image} failed: ${(cause as Error).message}`, { cause });
  });
  const id = stdout.trim();
  const stop = async (): Promise<void> => {
    await run('docker', ['rm', '--force', id]).catch(() => undefined);
  };
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  while (!(await succeeds(['exec', id, ...ready]))) {
    if (performance.now() > untilMs) {
      await stop();
      throw new BusError('STACK_START_FAILED', `${image} was not ready after ${READY_TIMEOUT_MS} ms.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return { id, stop };
}

function succeeds(args: readonly string[]): Promise<boolean> {
  return run('docker', [...args], { timeout: 10_000 }).then(
    () => true,
    () => false,
  );
}
