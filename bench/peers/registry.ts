import type { Peer } from './adapter.ts';
import { asyncCacheDedupe } from './adapters/async-cache-dedupe.ts';
import { bentocache } from './adapters/bentocache.ts';
import { cacheManager } from './adapters/cache-manager.ts';
import { cacheable } from './adapters/cacheable.ts';
import { layeredLoader } from './adapters/layered-loader.ts';

/** Who is measured, in this order. A new adapter is one line here. */
export const PEERS: readonly Peer[] = [bentocache, cacheable, cacheManager, asyncCacheDedupe, layeredLoader];

export function peerNamed(name: string): Peer {
  const peer = PEERS.find((each) => each.name === name);
  if (peer === undefined) throw new Error(`No adapter named "${name}": ${PEERS.map((each) => each.name).join(', ')}`);
  return peer;
}
