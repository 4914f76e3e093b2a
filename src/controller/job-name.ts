import { createHash } from 'node:crypto';

/**
 * The pods of an Indexed Job have `<job>-<index>` for a host name, which is a DNS label of 63 characters at most (RFC 1123; Kubernetes
 * refuses a Job where the highest index would not fit). So much is left for five digits of an index.
 */
export const JOB_NAME_MAX = 57;
const HASH_LENGTH = 8;

/**
 * The name of the Job of a region's epoch: the same for the same two, and another for any other two. What a DNS label cannot hold is
 * replaced, and a hash of the two then tells apart what has become alike.
 */
export function jobName(region: string, epoch: string): string {
  const plain = `warm-${region}-${epoch}`;
  // A "-" in the region or the epoch would let ("a-b", "c") and ("a", "b-c") meet.
  const isClear = !epoch.includes('-') && /^[a-z0-9-]+$/.test(plain) && !plain.endsWith('-');
  if (isClear && plain.length <= JOB_NAME_MAX) return plain;
  const hash = createHash('sha256')
    .update(JSON.stringify([region, epoch]))
    .digest('hex')
    .slice(0, HASH_LENGTH);
  const cut = plain
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .slice(0, JOB_NAME_MAX - HASH_LENGTH - 1)
    .replace(/-+$/, '');
  return `${cut}-${hash}`;
}
