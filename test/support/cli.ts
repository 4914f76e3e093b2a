import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../src/bin/afterwrite.ts', import.meta.url));

export interface CliRun {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunningCli {
  kill(signal: NodeJS.Signals): void;
  /** Reads no more of its standard output, as `head` does. */
  closeOut(): void;
}

/** Runs the command line as a process. `onLine` sees each line of either stream, and may act upon the process. */
export function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  onLine: (line: string, child: RunningCli) => void = () => undefined,
): Promise<CliRun> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const running: RunningCli = {
    kill: (signal) => void child.kill(signal),
    closeOut: () => void child.stdout.destroy(),
  };
  const text = { out: '', err: '' };
  for (const [name, stream] of [
    ['out', child.stdout],
    ['err', child.stderr],
  ] as const) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      for (const line of chunk.split('\n')) onLine(line, running);
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...text }));
  });
}
