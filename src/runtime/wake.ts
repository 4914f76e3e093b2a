/**
 * Lets one loop sleep until there is something to do. A notice that comes while the loop is busy is kept, so none is lost; many
 * notices are one.
 */
export class Wake {
  #isPending = false;
  #resume: (() => void) | undefined;

  notify(): void {
    this.#isPending = true;
    this.#resume?.();
  }

  /** Resolves at a notice, after `timeoutMs`, or at abort, whichever is first. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#isPending && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, timeoutMs);
        signal.addEventListener('abort', done, { once: true });
        this.#resume = done;
        function done(): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        }
      });
      this.#resume = undefined;
    }
    this.#isPending = false;
  }
}
