import type { Pool } from '../../src/client/pool.ts';

/** A pool whose transactions have always written; `asked` is told each statement, and waited for. */
export function poolOf(asked: (text: string) => unknown): Pool {
  const query = async ({ text }: { text: string }): Promise<unknown> => {
    await asked(text);
    if (text.startsWith('BEGIN')) return [{ rows: [] }, { rows: [['off']] }];
    return { rows: [[true]], command: text };
  };
  const nothing = (): void => undefined;
  return {
    connect: async () => ({ query, release: nothing, on: nothing, removeListener: nothing }),
  } as unknown as Pool;
}
