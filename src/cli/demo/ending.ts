import type { Output } from '../output.ts';

/** By what a person ends the demo before its time, and the exit code that says so: 128 and the signal's number, as a shell counts. */
const CODES = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** Why the demo ends at once. The first reason counts: what comes after it is its consequence. */
export class Ending {
  readonly #controller = new AbortController();
  readonly #listeners = SIGNALS.map((name) => ({ name, hear: (): void => this.#interrupt(CODES[name]) }));
  readonly #readerGone = (): void => this.#interrupt(CODES.SIGPIPE);
  readonly #out: Output['out'];
  /** Undefined unless a person ended it. */
  #exitCode: number | undefined;

  constructor({ out }: Output) {
    this.#out = out;
    for (const { name, hear } of this.#listeners) process.on(name, hear);
    // `npm run demo | head` closes the pipe: nobody reads what would be proved.
    out.on('error', this.#readerGone);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Ends the demo with the first of these to fail. */
  watch(failures: readonly Promise<never>[]): void {
    for (const failure of failures) failure.catch((error: unknown) => this.#controller.abort(error));
  }

  close(): void {
    for (const { name, hear } of this.#listeners) process.off(name, hear);
    this.#out.off('error', this.#readerGone);
  }

  #interrupt(code: number): void {
    if (this.signal.aborted) return;
    this.#exitCode = code;
    this.#controller.abort();
  }
}
