import { readdirSync, readFileSync } from 'node:fs';
import { eventually } from './eventually.ts';

/**
 * Stops a process by SIGSTOP, and waits until each of its threads stands still: the signal is answered before, and a thread on another core goes on for a
 * moment, in which a server acknowledges what comes. SIGCONT lets it go on.
 */
export async function stopProcess(pid: number | undefined): Promise<void> {
  if (pid === undefined) throw new Error('There is no process to be stopped.');
  process.kill(pid, 'SIGSTOP');
  if (process.platform !== 'linux') return;
  const tasks = `/proc/${pid}/task`;
  await eventually(`each thread of ${pid} is stopped`, () =>
    readdirSync(tasks).every((task) => stateOf(`${tasks}/${task}/stat`) === 'T'),
  );
}

/** The field behind the name in parentheses, which may hold anything (proc_pid_stat(5)). */
function stateOf(file: string): string | undefined {
  const text = readFileSync(file, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2)[0];
}
