import pg from 'pg';

/** Rows of one statement: with commits of one row, it is Postgres's disk that is measured. */
const ROWS_A_COMMIT = 10;

/** Changes rows at a steady rate, half of them among the hottest tenth. Each is an eviction. */
export class Updates {
  done = 0;
  readonly #pool: pg.Pool;
  readonly #rows: number;
  readonly #perSecond: number;
  #isOver = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(pool: pg.Pool, rows: number, perSecond: number) {
    this.#pool = pool;
    this.#rows = rows;
    this.#perSecond = perSecond;
  }

  static async open(url: string, rows: number, perSecond: number): Promise<Updates> {
    return new Updates(new pg.Pool({ connectionString: url, max: 1, application_name: 'updates' }), rows, perSecond);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    await this.#pool.end();
  }

  async #run(): Promise<void> {
    const beganMs = performance.now();
    while (!this.#isOver && this.#perSecond > 0) {
      const due = ((performance.now() - beganMs) / 1000) * this.#perSecond;
      if (this.done < due) {
        const ids = Array.from({ length: ROWS_A_COMMIT }, (_, i) => {
          const among = i % 2 === 0 ? this.#rows : Math.ceil(this.#rows / 10);
          return 1 + Math.floor(Math.random() * among);
        });
        await this.#pool.query('update public.items set n = n + 1 where id = any($1::int[])', [ids]);
        this.done += ROWS_A_COMMIT;
      } else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
