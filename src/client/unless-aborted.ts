/** A promise's end, or the signal's reason once that is aborted: then `left` is called first. Nobody need handle the promise's own rejection. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, left?: () => void): Promise<T> {
  promise.catch(() => undefined);
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      left?.();
      reject(signal.reason);
    };
    if (signal.aborted) return leave();
    signal.addEventListener('abort', leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
