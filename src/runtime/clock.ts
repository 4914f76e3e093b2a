/** Time as an argument: deciding code and loops never ask the system by themselves. */
export interface Clock {
  /** Unix time in milliseconds. May jump. */
  nowMs(): number;
  /** Milliseconds since some start. Never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at abort. It does not reject. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
    }),
};
