import { MemoryLog } from '../../src/testing/memory-log.ts';
import { describeLog } from './log-contract.ts';

describeLog('a log in memory', () => {
  const log = new MemoryLog(6);
  return Promise.resolve({
    partitions: 6,
    openWriter: () => Promise.resolve(log.openWriter()),
    openReader: (handler) => Promise.resolve(log.openReader(handler)),
    trim: (partition, first) => Promise.resolve(log.trim(partition, first)),
    goAway: () => Promise.resolve(log.goAway()),
    comeBack: () => Promise.resolve(log.comeBack()),
    breakDown: () => Promise.resolve(void log.faults.push('lost')),
    close: () => Promise.resolve(),
  });
});
