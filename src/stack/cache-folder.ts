import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where what was fetched or built stays for the next time. */
export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'afterwrite');
}

/** Makes `name` in the cache: whole or not at all. Two may make it at once, and the one that comes second keeps the first one's. */
export async function makeCached(name: string, make: (work: string) => Promise<string>): Promise<string> {
  const cache = cacheFolder();
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'making-'));
  const made = join(cache, name);
  try {
    await rename(await make(work), made).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return made;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
