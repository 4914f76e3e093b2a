import type { Clock } from './clock.ts';

/**
 * What a question is answered, or undefined after `timeoutMs` or at abort: for servers that may hang, when no client of theirs sets a limit. A
 * failure in time is the caller's; what comes later, either way, is nobody's.
 */
export async function answerWithin<T>(
  question: Promise<T>,
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<T | undefined> {
  const over = new AbortController();
  question.catch(() => undefined);
  try {
    const late = clock.sleep(timeoutMs, AbortSignal.any([signal, over.signal])).then(() => undefined);
    return await Promise.race([question, late]);
  } finally {
    over.abort();
  }
}
