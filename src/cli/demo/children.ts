import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BusError } from '../../protocol/errors.ts';
import { startGuarded } from '../../stack/guarded-process.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/afterwrite.ts', import.meta.url));
const STOP_TIMEOUT_MS = 12_000;
const LINES_SHOWN = 10;
const READY_TIMEOUT_MS = 30_000;

export interface DemoChild {
  readonly name: string;
  readonly pid: number;
  /** Rejects if the process ends before it is stopped. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly port: number;
}

/**
 * Starts one program of ours as a process of its own, its log in the demo's folder, and waits until it says that it is ready. Like the
 * servers it ends with us, however we end.
 */
export async function startChild(options: ChildOptions): Promise<DemoChild> {
  const { name, folder } = options;
  const logFile = join(folder, `${name}.log`);
  const child = await startGuarded(process.execPath, [programPath(), ...options.args], {
    env: { ...options.env, AFTERWRITE_HTTP_PORT: String(options.port), AFTERWRITE_HTTP_HOST: '127.0.0.1' },
    logFile,
  });
  let isStopping = false;
  const failed = child.ended.then((code) => {
    if (isStopping) return new Promise<never>(() => undefined);
    const log = child.lastLines().split('\n').slice(-LINES_SHOWN).join('\n');
    throw new BusError('STACK_START_FAILED', `The ${name} ended by itself, with ${code}. Its log ended with:\n${log}`, {
      at: logFile,
    });
  });
  failed.catch(() => undefined);
  const stop = async (): Promise<void> => {
    isStopping = true;
    await child.stop('SIGTERM', STOP_TIMEOUT_MS);
  };
  try {
    await Promise.race([failed, untilReady(options, child.hasEnded)]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name, pid: child.pid, failed, stop };
}

/** Runs one of our tasks to its end. Throws `STACK_START_FAILED` where that is not 0. */
export async function runTask({ name, args, env, folder, port }: ChildOptions, signal: AbortSignal): Promise<void> {
  const logFile = join(folder, `${name}.log`);
  const task = await startGuarded(process.execPath, [programPath(), ...args], {
    env: { ...env, AFTERWRITE_HTTP_PORT: String(port), AFTERWRITE_HTTP_HOST: '127.0.0.1' },
    logFile,
  });
  const stop = (): void => void task.stop('SIGTERM', STOP_TIMEOUT_MS);
  signal.addEventListener('abort', stop, { once: true });
  const code = await task.ended;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (code === 0) return;
  const log = task.lastLines().split('\n').slice(-LINES_SHOWN).join('\n');
  throw new BusError('STACK_START_FAILED', `The ${name} ended with ${code}. Its log ended with:\n${log}`, {
    at: logFile,
  });
}

/** What runs one of our commands from a shell, from wherever it stands. */
export function commandLine(args: readonly string[]): string {
  return [process.execPath, programPath(), ...args].join(' ');
}

/** Built, the program stands beside us as JavaScript. */
function programPath(): string {
  return import.meta.url.endsWith('.ts') ? PROGRAM : PROGRAM.replace(/\.ts$/, '.js');
}

async function untilReady({ name, port }: ChildOptions, hasEnded: () => boolean): Promise<void> {
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.ok === true || hasEnded()) return;
    if (performance.now() > untilMs)
      throw new BusError(
        'STACK_START_FAILED',
        `The ${name} was not ready within ${READY_TIMEOUT_MS} ms: ${(await answer?.text()) ?? 'no answer'}.`,
      );
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
