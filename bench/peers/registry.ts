import type { Peer } from './adapter.ts';

/**
 * Who is measured, in this order. A new adapter is one line here. Each is imported when it is asked for: a worker would otherwise spend most
 * of its start on the libraries of the others.
 */
const ADAPTERS = new Map<string, () => Promise<Peer>>([
  ['afterwrite', async () => (await import('./adapters/afterwrite.ts')).afterwrite],
  ['bentocache', async () => (await import('./adapters/bentocache.ts')).bentocache],
  ['cacheable', async () => (await import('./adapters/cacheable.ts')).cacheable],
  ['cache-manager', async () => (await import('./adapters/cache-manager.ts')).cacheManager],
  ['async-cache-dedupe', async () => (await import('./adapters/async-cache-dedupe.ts')).asyncCacheDedupe],
  ['layered-loader', async () => (await import('./adapters/layered-loader.ts')).layeredLoader],
]);

export const PEER_NAMES: readonly string[] = [...ADAPTERS.keys()];

export function peerNamed(name: string): Promise<Peer> {
  const adapter = ADAPTERS.get(name);
  if (adapter === undefined) throw new Error(`No adapter named "${name}": ${PEER_NAMES.join(', ')}`);
  return adapter();
}
