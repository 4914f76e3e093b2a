import { decodeHotBucket, encodeHotBucket, hotBucketName, type HotKeyLog } from '../protocol/hot-key.ts';
import { isBusError } from '../protocol/errors.ts';

/** Where hot keys are published, in memory. Those who open it share what is in it. */
export class MemoryHotKeyLog {
  readonly #records = new Map<string, string>();

  /** As somebody else writes it. */
  put(name: string, text: string): void {
    this.#records.set(name, text);
  }

  open(): HotKeyLog {
    const records = this.#records;
    return {
      write: async (region, buckets) => {
        for (const bucket of buckets) records.set(hotBucketName(region, bucket), encodeHotBucket(region, bucket));
      },
      async *read(region, skipped) {
        for (const [name, text] of records) {
          if (!name.startsWith(`${region}/`)) continue;
          try {
            yield decodeHotBucket(text, name);
          } catch (error) {
            if (!isBusError(error)) throw error;
            skipped(error);
          }
        }
      },
      close: async () => undefined,
    };
  }
}
