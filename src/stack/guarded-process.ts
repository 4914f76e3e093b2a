import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { BusError } from '../protocol/errors.ts';

/**
 * A server process that cannot outlive this one. A shell stands between: it holds the read end of a pipe from us, and when that closes,
 * by our exit or by kill -9, it ends the server. The group of its own keeps Ctrl-C in a terminal away from the server, so that it is
 * stopped in our order.
 */
export interface GuardedProcess {
  readonly pid: number;
  /** The last lines that the server printed. */
  readonly lastLines: () => string;
  readonly hasEnded: () => boolean;
  /** Its exit code; 128 and the signal's number where a signal ended it, as a shell counts. */
  readonly ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  /** Signals, waits for the end, and kills after `timeoutMs`. */
  stop(signal: NodeJS.Signals, timeoutMs?: number): Promise<void>;
}

export interface GuardedOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The user to run as, where we are root and the server refuses to be. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Gets all that the server prints as errors. */
  readonly logFile?: string;
}

// The server's pid goes by a pipe of its own: the server may have printed before the shell tells it. `4<&0` keeps our pipe, since a shell
// gives background jobs /dev/null as their input.
const GUARD = `exec 4<&0
"$@" </dev/null 3>&- 4<&- &
server=$!
echo "$server" >&3
exec 3>&-
(cat <&4 >/dev/null 2>&1; kill -KILL "$server" 2>/dev/null) >/dev/null 2>&1 &
exec 4<&-
wait "$server"`;

const LINES_KEPT = 40;
const STOP_TIMEOUT_MS = 15_000;

export async function startGuarded(
  command: string,
  args: readonly string[],
  options: GuardedOptions = {},
): Promise<GuardedProcess> {
  const child = spawn('/bin/sh', ['-c', GUARD, 'guard', command, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    detached: true,
    ...options.user,
  });
  const lines: string[] = [];
  keepLines(child, lines);
  // A folder that is removed meanwhile takes the log along.
  if (options.logFile !== undefined)
    child.stderr?.pipe(createWriteStream(options.logFile).on('error', () => undefined));
  let isOver = false;
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      isOver = true;
      child.stdin?.destroy();
      resolve(code);
    });
  });
  child.stdin?.on('error', () => undefined);
  const pid = await pidOf(child);
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (!isOver) process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  return {
    pid,
    lastLines: () => lines.join('\n'),
    hasEnded: () => isOver,
    ended,
    kill,
    stop: async (signal, timeoutMs = STOP_TIMEOUT_MS) => {
      kill(signal);
      // A stopped process does not hear anything but KILL.
      const timer = setTimeout(() => kill('SIGKILL'), timeoutMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

function keepLines(child: ChildProcess, lines: string[]): void {
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      lines.push(...text.split('\n').filter((line) => line !== ''));
      if (lines.length > LINES_KEPT) lines.splice(0, lines.length - LINES_KEPT);
    });
  }
}

function pidOf(child: ChildProcess): Promise<number> {
  const pipe = child.stdio[3] as Readable;
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    let text = '';
    pipe.setEncoding('utf8').on('data', (part: string) => (text += part));
    pipe.once('end', () => {
      // Both ways open by nature: while our half is, the child does not count as closed.
      pipe.destroy();
      const pid = Number(text);
      if (text !== '' && Number.isSafeInteger(pid)) resolve(pid);
      else reject(new BusError('STACK_START_FAILED', `The guard of a server told "${text}" in place of a process id.`));
    });
  });
}

/** Waits until `isReady` says so. Throws with the server's last lines if it ends first or is not ready in time. */
export async function untilReady(
  name: string,
  server: GuardedProcess,
  isReady: () => Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  while (!(await isReady())) {
    if (server.hasEnded())
      throw new BusError('STACK_START_FAILED', `${name} ended at its start. It printed:\n${server.lastLines()}`);
    if (performance.now() > untilMs) {
      await server.stop('SIGKILL');
      throw new BusError(
        'STACK_START_FAILED',
        `${name} was not ready after ${timeoutMs} ms. It printed:\n${server.lastLines()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
