import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startGuarded } from '../../src/stack/guarded-process.ts';
import { freePort } from '../../src/stack/place.ts';
import { REGION } from '../../test/support/warmup-lab.ts';
import { useCore } from './core.ts';

const PROGRAM = fileURLToPath(new URL('../../src/bin/afterwrite.ts', import.meta.url));

const LOOK_MS = 2000;

export interface ChildResult {
  readonly exitCode: number | null;
  readonly seconds: number;
  readonly memoryMb: number;
  /** Of the process, in seconds. */
  readonly cpuSeconds: number;
  /** The last that it said. */
  readonly end: string;
}

/** Runs the program as a process of its own; watches its memory. */
export async function runWarmupChild(configPath: string, core: number | undefined): Promise<ChildResult> {
  const beganMs = performance.now();
  const child = await startGuarded(
    process.execPath,
    [PROGRAM, 'warmup', '--json', '--region', REGION, '--config', configPath],
    {
      env: { AFTERWRITE_HTTP_PORT: String(await freePort()), AFTERWRITE_HTTP_HOST: '127.0.0.1' },
    },
  );
  if (core !== undefined) useCore(child.pid, core);
  let [memoryKb, cpuSeconds] = [0, 0];
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      memoryKb = Math.max(memoryKb, Number(/^VmHWM:\s+(\d+)/mu.exec(status)?.[1] ?? 0));
      // Fields 14 and 15 of proc(5), in hundredths of a second.
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      cpuSeconds = (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      // It has ended, or this is no Linux.
    }
    const last = child.lastLines().trim().split('\n').at(-1);
    if (last !== undefined)
      process.stderr.write(`${Math.round((performance.now() - beganMs) / 1000)} s ${last.slice(0, 300)}\n`);
  }, LOOK_MS);
  const exitCode = await child.ended;
  clearInterval(timer);
  return {
    exitCode,
    seconds: Number(((performance.now() - beganMs) / 1000).toFixed(1)),
    cpuSeconds,
    memoryMb: Math.round(memoryKb / 1024),
    end: child.lastLines().trim().split('\n').slice(-4).join('\n'),
  };
}
