/** Thrown where the end was asked for while something was being opened. No failure: nothing was begun. */
export const ENDING = Symbol('ending');

/**
 * Waits for what is being opened, or throws `ENDING` as soon as the end is asked for. What opens all the same, too late, is closed.
 */
export async function unlessEnding<T>(
  ending: AbortSignal,
  opening: Promise<T>,
  close: (late: T) => Promise<unknown> = () => Promise.resolve(),
): Promise<T> {
  const asked = Promise.withResolvers<never>();
  const ask = (): void => asked.reject(ENDING);
  ending.addEventListener('abort', ask, { once: true });
  if (ending.aborted) ask();
  try {
    return await Promise.race([asked.promise, opening]);
  } catch (error) {
    if (!ending.aborted) throw error;
    opening.then(close).catch(() => undefined);
    throw ENDING;
  } finally {
    ending.removeEventListener('abort', ask);
  }
}
