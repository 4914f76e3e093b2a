import { execFileSync } from 'node:child_process';

/** Keeps a process, and what it starts from now on, to one core (`taskset` of util-linux): two parts of the bench then share no more than two machines do. */
export function useCore(pid: number, core: number): void {
  execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
}
