/** A part of a process that runs for as long as the process does. */
export interface Service {
  readonly name: string;
  /** Whether it is there to come to an end: then that is no failure. */
  readonly isTask?: true;
  /** Works until the abort, or until `drain` has ended the work. Its end, by either way or by itself, ends the process. */
  run(stop: AbortSignal): Promise<void>;
  /** Finishes what was taken and takes no more; then `run` resolves. */
  drain?(): Promise<void>;
}
