import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startGuarded } from '../../src/stack/guarded-process.ts';
import { freePort } from '../../src/stack/place.ts';

const PROGRAM = fileURLToPath(new URL('../../test/support/warmup-process.ts', import.meta.url));

export interface ChildResult {
  readonly exitCode: number | null;
  readonly seconds: number;
  readonly memoryMb: number;
  /** The last that it said. */
  readonly end: string;
}

/** Runs the program as a process of its own, with as many hot keys; watches its memory. */
export async function runWarmupChild(configPath: string, keys: number): Promise<ChildResult> {
  const beganMs = performance.now();
  const child = await startGuarded(process.execPath, [PROGRAM, configPath, 'item', String(keys)], {
    env: { AFTERWRITE_HTTP_PORT: String(await freePort()), AFTERWRITE_HTTP_HOST: '127.0.0.1' },
  });
  let memoryKb = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      memoryKb = Math.max(memoryKb, Number(/^VmHWM:\s+(\d+)/mu.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended, or this is no Linux.
    }
    const last = child.lastLines().trim().split('\n').at(-1);
    if (last !== undefined)
      process.stderr.write(`${Math.round((performance.now() - beganMs) / 1000)} s ${last.slice(0, 300)}\n`);
  }, 5000);
  const exitCode = await child.ended;
  clearInterval(timer);
  return {
    exitCode,
    seconds: Number(((performance.now() - beganMs) / 1000).toFixed(1)),
    memoryMb: Math.round(memoryKb / 1024),
    end: child.lastLines().trim().split('\n').slice(-4).join('\n'),
  };
}
