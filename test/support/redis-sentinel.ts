import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGuarded } from '../../src/stack/guarded-process.ts';
import { acceptsConnections, freePort, programInPath } from '../../src/stack/place.ts';
import { eventually } from './eventually.ts';

/** One Sentinel, which is its own quorum, over a master on this machine. It calls it `shop`. */
export async function startSentinel(masterPort: number): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'afterwrite-sentinel-'));
  const port = await freePort();
  // A Sentinel keeps what it knows in its own file.
  const file = join(folder, 'sentinel.conf');
  await writeFile(
    file,
    `port ${port}
bind 127.0.0.1
dir ${folder}
sentinel monitor shop 127.0.0.1 ${masterPort} 1
sentinel down-after-milliseconds shop 500
sentinel failover-timeout shop 5000
`,
  );
  const sentinel = await startGuarded(programInPath('redis-server') ?? 'redis-server', [file, '--sentinel']);
  const stop = async (): Promise<void> => {
    await sentinel.stop('SIGTERM', 2000);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually('the Sentinel answers', () => acceptsConnections(port));
    return { url: `redis://127.0.0.1:${port}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
