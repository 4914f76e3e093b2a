import { MemoryLog } from '../../src/testing/memory-log.ts';
import { appendTo } from './agent-in-process.ts';

const FEED_EVERY_MS = 50;

/** A log in memory that gets a record without items in each partition again and again, as an idle relay sends them. */
export function startFedLog(partitions: number): { readonly log: MemoryLog; stop(): void } {
  const log = new MemoryLog(partitions);
  let to = 10;
  const feed = (): void => {
    for (let partition = 0; partition < partitions; partition++) appendTo(log, { from: to, to: to + 1, partition });
    to += 1;
  };
  feed();
  const timer = setInterval(feed, FEED_EVERY_MS);
  return { log, stop: () => clearInterval(timer) };
}
