import { after, before, describe } from 'node:test';
import type { ApiUnderTest } from './api-under-test.ts';
import { conformsInJobs } from './conformance-jobs.ts';
import { conformsInReads } from './conformance-reads.ts';
import { conformsInWrites } from './conformance-writes.ts';

/**
 * What the controller relies on of an API server. The fake passes it, so that it may be trusted; so does a real one, so that the suite may be.
 */
export function apiConformance(name: string, start: () => Promise<ApiUnderTest>): void {
  describe(`an API server: ${name}`, () => {
    let api: ApiUnderTest;
    before(async () => {
      api = await start();
    });
    after(() => api.close());
    const started = (): ApiUnderTest => api;
    conformsInWrites(started);
    conformsInJobs(started);
    conformsInReads(started);
  });
}
