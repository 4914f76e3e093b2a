import { statSync, truncateSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/stack/place.ts';
import { LOG_SETTINGS, type RedisServer, startRedis } from '../../src/stack/redis.ts';

const SAMPLE_EVERY_MS = 20;

/**
 * A Redis that keeps its append-only file through kill -9, which alone loses nothing: what was written is in the kernel's memory. So it can also lose what a
 * machine would that goes down: all that was written after a moment, which is what the file was not synced with.
 */
export class KilledRedis {
  readonly url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'afterwrite-killed-redis-'));
  readonly #port: number;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #sampling: NodeJS.Timeout;
  #sizes: { readonly atMs: number; readonly bytes: number }[] = [];
  #server: RedisServer | undefined;

  private constructor(port: number, settings: Readonly<Record<string, string>>) {
    this.#port = port;
    this.url = `redis://127.0.0.1:${port}`;
    this.#settings = settings;
    this.#sampling = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  static async start(appendfsync: 'always' | 'everysec'): Promise<KilledRedis> {
    const redis = new KilledRedis(await freePort(), {
      ...LOG_SETTINGS,
      appendfsync,
      'auto-aof-rewrite-percentage': '0',
    });
    await redis.start();
    return redis;
  }

  async start(): Promise<void> {
    this.#sizes = [];
    this.#server = await startRedis({ port: this.#port, settings: { ...this.#settings, dir: this.#folder } });
  }

  /** kill -9, and the loss of what was written in so many milliseconds before. Returns from when to when entries may be missing, by Unix time. */
  async kill(lostMs: number): Promise<{ readonly fromMs: number; readonly killedMs: number }> {
    this.#sample();
    const fromMs = Date.now() - lostMs;
    this.#server?.process?.kill('SIGKILL');
    await this.#server?.process?.ended;
    const killedMs = Date.now();
    // The last size that is not younger: what was written before the moment stays.
    const cut = this.#sizes.findLast(({ atMs }) => atMs <= fromMs) ?? this.#sizes[0];
    if (lostMs > 0 && cut !== undefined) truncateSync(this.#file, cut.bytes);
    await this.#server?.stop();
    return { fromMs: Math.min(fromMs, cut?.atMs ?? fromMs), killedMs };
  }

  async close(): Promise<void> {
    clearInterval(this.#sampling);
    await this.#server?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #file(): string {
    return join(this.#folder, 'appendonlydir', 'appendonly.aof.1.incr.aof');
  }

  #sample(): void {
    const bytes = statSync(this.#file, { throwIfNoEntry: false })?.size;
    if (bytes !== undefined) this.#sizes.push({ atMs: Date.now(), bytes });
  }
}
