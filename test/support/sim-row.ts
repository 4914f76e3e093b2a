import type { Pool, PoolClient } from '../../src/client/pool.ts';

/** A commit in the write-ahead log. */
export interface SimCommit {
  readonly lsn: number;
  readonly version: number;
  isVisible: boolean;
}

/** What chance decides of a COMMIT. `lost`: the connection, and the commit comes to be all the same; `gone`: it does not. */
export type CommitFate = 'answered' | 'refused' | 'lost' | 'gone';

/** One row of a database that does each thing when its scheduler lets it: `later` hands over what may happen from now on, in whatever order. */
export class SimRow {
  visible = 0;
  readonly wal: SimCommit[] = [];
  readonly #later: (act: () => void, isReady?: () => boolean) => void;
  readonly #nextLsn: () => number;
  readonly #fate: () => CommitFate;
  #holder: object | undefined;

  constructor(
    later: (act: () => void, isReady?: () => boolean) => void,
    nextLsn: () => number,
    fate: () => CommitFate,
  ) {
    this.#later = later;
    this.#nextLsn = nextLsn;
    this.#fate = fate;
  }

  get pool(): Pool {
    return {
      connect: () => new Promise((resolve) => this.#later(() => resolve(this.#client()))),
    };
  }

  #client(): PoolClient {
    const session = {};
    let version = 0;
    const query = async (request: { readonly text: string }): Promise<unknown> => {
      const { text } = request;
      if (text.startsWith('BEGIN')) return [{ rows: [] }, { rows: [['off']] }];
      if (text.startsWith('SELECT')) return { rows: [[this.#holder === session]] };
      if (text === 'UPDATE') return { rows: [[(version = await this.#update(session))]] };
      if (text === 'COMMIT') return this.#commit(session, version);
      this.#unlock(session);
      return { rows: [], command: 'ROLLBACK' };
    };
    return {
      query: query as PoolClient['query'],
      release: () => undefined,
      on: () => undefined,
      removeListener: () => undefined,
    };
  }

  /** Waits for the row's lock, and sees what is visible then. */
  #update(session: object): Promise<number> {
    return new Promise((resolve) =>
      this.#later(
        () => {
          this.#holder = session;
          resolve(this.visible + 1);
        },
        () => this.#holder === undefined || this.#holder === session,
      ),
    );
  }

  #unlock(session: object): void {
    if (this.#holder === session) this.#holder = undefined;
  }

  #commit(session: object, version: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const fate = this.#fate();
      const isLost = fate === 'lost' || fate === 'gone';
      if (isLost) this.#later(() => reject(new Error('Connection terminated unexpectedly')));
      if (fate === 'gone' || fate === 'refused') {
        this.#later(() => {
          this.#unlock(session);
          if (fate === 'refused') reject(Object.assign(new Error('could not serialize'), { code: '40001' }));
        });
        return;
      }
      // The record is in the log, and decoded, before anybody sees the commit, or is told of it.
      this.#later(() => {
        const commit = { lsn: this.#nextLsn(), version, isVisible: false };
        this.wal.push(commit);
        this.#later(() => {
          commit.isVisible = true;
          this.visible = version;
          this.#unlock(session);
          if (!isLost) this.#later(() => resolve({ rows: [], command: 'COMMIT' }));
        });
      });
    });
  }
}
