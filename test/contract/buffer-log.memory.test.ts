import { MemoryBufferLog } from '../../src/testing/memory-buffer-log.ts';
import { bufferLogContract } from './buffer-log-contract.ts';

bufferLogContract('memory', async (limits) => new MemoryBufferLog({ partitions: 2, ...limits }, () => Date.now()));
