import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BusError } from '../../protocol/errors.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/afterwrite.ts', import.meta.url));
const STOP_TIMEOUT_MS = 12_000;
const LINES_KEPT = 10;
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

/** Starts one program of ours as a process of its own, its log in the demo's folder, and waits until it says that it is ready. */
export async function startChild(options: ChildOptions): Promise<DemoChild> {
  const { name, folder } = options;
  const logFile = join(folder, `${name}.log`);
  const child = spawn(process.execPath, [programPath(), ...options.args], {
    env: {
      ...process.env,
      ...options.env,
      AFTERWRITE_HTTP_PORT: String(options.port),
      AFTERWRITE_HTTP_HOST: '127.0.0.1',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
    // A group of its own: Ctrl-C reaches the demo, which stops everything in its order.
    detached: true,
  });
  child.stderr.pipe(createWriteStream(logFile));
  const lines: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.trimEnd().split('\n'));
    lines.splice(0, lines.length - LINES_KEPT);
  });
  let isStopping = false;
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const failed = ended.then((code) => {
    if (isStopping) return new Promise<never>(() => undefined);
    throw new BusError(
      'STACK_START_FAILED',
      `The ${name} ended by itself with ${code}. Its log ended with:\n${lines.join('\n')}`,
      { at: logFile },
    );
  });
  failed.catch(() => undefined);
  await Promise.race([failed, untilReady(options)]);
  return {
    name,
    pid: child.pid ?? 0,
    failed,
    stop: async () => {
      isStopping = true;
      await end(child, ended);
    },
  };
}

/** Built, the program stands beside us as JavaScript. */
function programPath(): string {
  return import.meta.url.endsWith('.ts') ? PROGRAM : PROGRAM.replace(/\.ts$/, '.js');
}

async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

async function untilReady({ name, port }: ChildOptions): Promise<void> {
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.ok === true) return;
    if (performance.now() > untilMs)
      throw new BusError(
        'STACK_START_FAILED',
        `The ${name} was not ready within ${READY_TIMEOUT_MS} ms: ${(await answer?.text()) ?? 'no answer'}.`,
      );
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
