import { eventually } from './eventually.ts';

/** A loader that a test holds: each call waits until it is answered. */
export class ScriptedLoader<T = { v: number }> {
  readonly calls: { readonly params: { id: string }; readonly signal: AbortSignal }[] = [];
  readonly #answers: PromiseWithResolvers<T | null>[] = [];

  readonly load = (params: { id: string }, { signal }: { readonly signal: AbortSignal }): Promise<T | null> => {
    const answer = Promise.withResolvers<T | null>();
    this.#answers.push(answer);
    this.calls.push({ params, signal });
    return answer.promise;
  };

  /** Waits for call `number`, from 0. */
  async called(number = 0): Promise<void> {
    await eventually(`call ${number} of the loader`, () => this.calls.length > number);
  }

  /** Answers call `number`, once it has come. */
  async answer(value: T | null, number = 0): Promise<void> {
    await this.called(number);
    this.#answers[number]?.resolve(value);
  }

  async fail(error: unknown, number = 0): Promise<void> {
    await this.called(number);
    this.#answers[number]?.reject(error);
  }
}
