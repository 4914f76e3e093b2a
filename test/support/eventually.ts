/** Waits for a state: asks `probe` until it gives something other than undefined, null or false. Fails at the deadline, with the last answer. */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadlineMs = 15_000,
): Promise<NonNullable<T>> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() > until)
      throw new Error(`"${what}" did not come to be within ${deadlineMs} ms; last seen: ${String(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
