#!/usr/bin/env node
import { CommanderError } from 'commander';
import { EXIT, exitCodeOf } from '../cli/exit-code.ts';
import { printError, processOutput } from '../cli/output.ts';
import { createProgram } from '../cli/program.ts';
import { runAgent } from './agent.ts';
import { runRelay } from './relay.ts';

let code: number = EXIT.ok;
const program = createProgram(processOutput, { runRelay, runAgent }, (result) => (code = result));
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
process.exitCode = code;
// Every command closes what it opened; should something still be open a second later, the process must not hang on it.
setTimeout(() => process.exit(), 1000).unref();
