#!/usr/bin/env node
import { CommanderError } from 'commander';
import { EXIT, exitCodeOf } from '../cli/exit-code.ts';
import { printError, processOutput } from '../cli/output.ts';
import { createProgram, type Programs } from '../cli/program.ts';
import { runAgent } from './agent.ts';
import { openDemoCache } from './demo-cache.ts';
import { runFlush } from './flush.ts';
import { runRelay } from './relay.ts';
import { runWarmup } from './warmup.ts';
import { runWorker } from './worker.ts';

let code: number = EXIT.ok;
// `afterwrite … | head` closes the pipe: what is left to say is not wanted. Anything else, such as a full disk, is a failure.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') return;
    if (stream === process.stdout) process.stderr.write(`Standard output cannot be written: ${error.message}\n`);
    process.exitCode = EXIT.failed;
  });
// The Kubernetes client is large: only the program that needs it loads it.
const runController: Programs['runController'] = async (...given) =>
  (await import('./controller.ts')).runController(...given);
const programs = { runRelay, runAgent, runWorker, runFlush, runWarmup, runController, openDemoCache };
const program = createProgram(processOutput, programs, (result) => (code = result));
try {
  await program.parseAsync();
} catch (error) {
  // commander has printed what it has to say: its help, its version, or what is wrong with the command line.
  if (error instanceof CommanderError) code = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else {
    printError(process.stderr, error);
    code = exitCodeOf(error);
  }
}
process.exitCode ??= code;
// Every command closes what it opened; should something still be open a second later, the process must not hang on it.
setTimeout(() => process.exit(), 1000).unref();
