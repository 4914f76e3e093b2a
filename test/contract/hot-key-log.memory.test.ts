import { hotBucketName } from '../../src/protocol/hot-key.ts';
import { MemoryHotKeyLog } from '../../src/testing/memory-hot-key-log.ts';
import { describeHotKeyLog } from './hot-key-log-contract.ts';

describeHotKeyLog('hot keys in memory', async () => {
  const log = new MemoryHotKeyLog();
  return {
    open: async () => log.open(),
    spoil: async (region, family, bucket) => log.put(hotBucketName(region, { family, bucket }), '{"v":7}'),
    close: async () => undefined,
  };
});
