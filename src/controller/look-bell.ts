import type { Clock } from '../runtime/clock.ts';

/** Makes the next look come sooner. A ring during a look is kept; many rings are one. */
export class LookBell {
  readonly #clock: Clock;
  #isRung = false;
  #resume = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#isRung = true;
    this.#resume.abort();
  }

  /** Whether it has rung since this was last asked. */
  takeRing(): boolean {
    const isRung = this.#isRung;
    this.#isRung = false;
    return isRung;
  }

  /** Resolves at a ring that nobody has taken, after `timeoutMs`, or at abort. */
  async wait(timeoutMs: number, stop: AbortSignal): Promise<void> {
    if (this.#isRung) return;
    this.#resume = new AbortController();
    await this.#clock.sleep(timeoutMs, AbortSignal.any([stop, this.#resume.signal]));
  }
}
