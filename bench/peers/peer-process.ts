import { type ChildProcess, fork } from 'node:child_process';
import type { CallInput, CallName, CallOutput } from './calls.ts';

const STDERR_CHARACTERS_KEPT = 2000;

interface Answer {
  readonly id: number;
  readonly output?: unknown;
  readonly failed?: string;
}

/** A worker process (worker.ts), from the side of the run. */
export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(output: unknown): void; reject(error: Error): void }>();
  readonly #ended: Promise<void>;
  #lastId = 0;
  #stderr = '';

  constructor() {
    this.#child = fork(new URL('worker.ts', import.meta.url), {
      execArgv: ['--import', new URL('ioredis-five.ts', import.meta.url).href],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS_KEPT);
    });
    this.#child.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.failed === undefined) waiting?.resolve(answer.output);
      else waiting?.reject(new Error(answer.failed));
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`The worker ended. ${this.#stderr}`));
        this.#waiting.clear();
        resolve();
      });
    });
  }

  call<N extends CallName>(name: N, input: CallInput<N>): Promise<CallOutput<N>> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (output) => resolve(output as CallOutput<N>), reject });
      this.#child.send({ id, name, input });
    });
  }

  /** At once: what a library does at its close is not measured, and some do not return from it without Redis. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
