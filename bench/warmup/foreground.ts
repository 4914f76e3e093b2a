import pg from 'pg';

/** Reads of single rows at a steady rate, whatever the answers take: an open loop. */
export class Foreground {
  readonly #pool: pg.Pool;
  readonly #rows: number;
  readonly #perSecond: number;

  private constructor(pool: pg.Pool, rows: number, perSecond: number) {
    this.#pool = pool;
    this.#rows = rows;
    this.#perSecond = perSecond;
  }

  static async open(url: string, rows: number, perSecond: number): Promise<Foreground> {
    const pool = new pg.Pool({ connectionString: url, max: 16, application_name: 'foreground' });
    await Promise.all(Array.from({ length: 16 }, () => pool.query('select pg_sleep(0.05)')));
    return new Foreground(pool, rows, perSecond);
  }

  /** The milliseconds of each read while `body` goes on. */
  async during(body: () => Promise<unknown>): Promise<number[]> {
    const took: number[] = [];
    const stepMs = 1000 / this.#perSecond;
    const asked: Promise<unknown>[] = [];
    let isOver = false;
    let dueMs = performance.now();
    const timer = setInterval(() => {
      for (; dueMs <= performance.now() && !isOver; dueMs += stepMs) asked.push(this.#read(took));
    }, 1);
    await body();
    isOver = true;
    clearInterval(timer);
    await Promise.all(asked);
    return took;
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  async #read(took: number[]): Promise<void> {
    const id = 1 + Math.floor(Math.random() * this.#rows);
    const beganMs = performance.now();
    await this.#pool.query({ name: 'one', text: 'select id, name, n from public.items where id = $1', values: [id] });
    took.push(performance.now() - beganMs);
  }
}

export function percentile(list: readonly number[], at: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN;
}
