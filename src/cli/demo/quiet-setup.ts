import { Writable } from 'node:stream';
import { BusError } from '../../protocol/errors.ts';
import { setupCommand } from '../commands/setup.ts';
import { EXIT } from '../exit-code.ts';

/** Runs `afterwrite setup` for a file, or several that are joined, and keeps what it prints for the error. Throws `STACK_START_FAILED` if it does not end well. */
export async function setUpQuietly(...configPaths: string[]): Promise<void> {
  const printed: string[] = [];
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, written) => {
      printed.push(chunk.toString());
      written();
    },
  });
  const code = await setupCommand(
    { output: { out: sink, err: sink }, configPaths, json: false },
    { dryRun: false, repairIdentity: true },
  );
  if (code !== EXIT.ok)
    throw new BusError('STACK_START_FAILED', `afterwrite setup ended with ${code}:\n${printed.join('')}`);
}
