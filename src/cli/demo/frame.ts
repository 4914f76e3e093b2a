import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '../exit-code.ts';
import { type Output, printError } from '../output.ts';
import { Ending } from './ending.ts';

export interface DemoFrame {
  readonly output: Output;
  readonly json: boolean;
  /** What a person reads: beside the JSON it goes to the other stream. */
  readonly say: (line: string) => void;
  /** What is to be undone at the end, in reverse order. */
  readonly cleanups: (() => Promise<void>)[];
  readonly ending: Ending;
}

/** Runs a demo to its end, or to a signal. Whatever happens, nothing is left behind. */
export async function withFrame(
  output: Output,
  json: boolean,
  run: (frame: DemoFrame) => Promise<number>,
): Promise<number> {
  const say = (line: string): void => void (json ? output.err : output.out).write(`${line}\n`);
  const ending = new Ending(output);
  const cleanups: (() => Promise<void>)[] = [];
  let code: number;
  try {
    code = await run({ output, json, say, cleanups, ending });
  } catch (error) {
    if (ending.exitCode === undefined) throw ending.signal.aborted ? ending.signal.reason : error;
    say('Interrupted.');
    code = ending.exitCode;
  } finally {
    say('Cleaning up.');
    const isClean = await cleanUp(cleanups, output);
    ending.close();
    if (!isClean) code = EXIT.failed;
  }
  return code;
}

/** Undoes everything in reverse order; what cannot be undone is said, and the rest is undone all the same. */
async function cleanUp(cleanups: readonly (() => Promise<void>)[], { err }: Output): Promise<boolean> {
  let isClean = true;
  for (const cleanup of cleanups.toReversed())
    await cleanup().catch((error: unknown) => {
      isClean = false;
      err.write('Something is left behind:\n');
      printError(err, error);
    });
  return isClean;
}

/** Throws where it has not come about in time. */
export async function until(
  what: string,
  signal: AbortSignal,
  isSo: () => Promise<boolean>,
  limitMs = 30_000,
): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (!(await isSo())) {
    signal.throwIfAborted();
    if (performance.now() > untilMs) throw new Error(`It did not come about that ${what}.`);
    await sleep(50);
  }
}
