import type { OpenDemoCache } from '../cli/demo/failover/scene.ts';
import { openProgramCache } from './program-cache.ts';

const POOL = { applicationName: 'afterwrite-demo-app', max: 8, statementTimeoutMs: 10_000 };

/** A cache of a region, as a process of an application has it. */
export const openDemoCache: OpenDemoCache = (config, region) =>
  openProgramCache(config, region, POOL, { onEvent: () => undefined });
