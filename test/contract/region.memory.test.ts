import { describeCacheStore } from './cache-store-contract.ts';
import { describeRegionStore } from './region-store-contract.ts';
import { openMemoryRegion } from './region-under-test.ts';

describeCacheStore('a region in memory, for its readers', openMemoryRegion);
describeRegionStore('a region in memory, for its agents', openMemoryRegion);
