import { fail, type Finding, ok, warn } from './finding.ts';
import { redisRepair } from './repair.ts';

export interface CacheFacts {
  readonly url: string;
  /** As INFO says, such as 7.2.4. */
  readonly version: string;
  readonly role: 'master' | 'slave' | 'unknown';
  /** 0 is without a limit. */
  readonly maxmemoryBytes: number;
  readonly maxmemoryPolicy: string;
  readonly isCluster: boolean;
  /** Whether the file names it as a cluster. */
  readonly isNamedCluster: boolean;
  /** Values of the bus among some that were looked at, and how many of them have no TTL. */
  readonly sampled: number;
  readonly withoutTtl: number;
}

/** The first whose scripts may run when memory is full. */
const MAJOR_MIN = 7;
const MIB = 1 << 20;

/** A region's cache: it must be able to forget values, and must not forget the bus's records. */
export function checkCache(subject: string, facts: CacheFacts): Finding[] {
  return [
    checkVersion(subject, facts.version),
    ...checkRole(subject, facts),
    checkLimit(subject, facts),
    checkPolicy(subject, facts),
    ...checkTtls(subject, facts),
  ];
}

function checkVersion(subject: string, version: string): Finding {
  if (Number(version.split('.')[0]) >= MAJOR_MIN) return ok(subject, `version ${version}`);
  return fail(
    subject,
    `version ${version}: ${MAJOR_MIN} or newer is needed, for scripts that work when memory is full`,
    'upgrade the server',
  );
}

function checkRole(subject: string, { isCluster, isNamedCluster, role }: CacheFacts): Finding[] {
  const findings: Finding[] = [];
  if (isCluster && !isNamedCluster)
    findings.push(
      fail(
        subject,
        'is a node of a Redis Cluster, and the file names it as one server: most keys are elsewhere',
        'redis: { cluster: [<this URL>] } in the file',
      ),
    );
  if (role === 'slave')
    findings.push(
      fail(subject, 'is a replica of another Redis: nothing can be evicted on it', 'ROLE; -- names its master'),
    );
  return findings;
}

function checkLimit(subject: string, { url, maxmemoryBytes }: CacheFacts): Finding {
  if (maxmemoryBytes > 0) return ok(subject, `maxmemory is ${Math.round(maxmemoryBytes / MIB)} MiB`);
  return fail(
    subject,
    'maxmemory is not set: a cache without a limit takes the machine with it',
    redisRepair(url, [['maxmemory', '1gb']]),
  );
}

function checkPolicy(subject: string, { url, maxmemoryPolicy: policy }: CacheFacts): Finding {
  const repair = redisRepair(url, [['maxmemory-policy', 'volatile-lru']]);
  if (policy.startsWith('volatile-'))
    return ok(subject, `maxmemory-policy is ${policy}: values have TTLs, the bus's records have none`);
  if (policy.startsWith('allkeys-'))
    return warn(
      subject,
      `maxmemory-policy is ${policy}: it may drop the bus's own records, and then the cell begins anew`,
      repair,
    );
  if (policy === 'noeviction')
    return fail(subject, 'maxmemory-policy is noeviction: a full cache refuses every write', repair);
  return warn(subject, `maxmemory-policy is "${policy}", which is not known here`, repair);
}

function checkTtls(subject: string, { sampled, withoutTtl }: CacheFacts): Finding[] {
  if (sampled === 0) return [];
  if (withoutTtl === 0) return [ok(subject, `each of ${sampled} values looked at has a TTL`)];
  return [
    warn(
      subject,
      `${withoutTtl} of ${sampled} values looked at have no TTL: nothing but an eviction ends them`,
      'SET … EX seconds, by whoever writes them',
    ),
  ];
}

/** Each master should hold as many cells: what a cell costs does not depend on which it is. `cells`: how many each master holds. */
export function checkSpread(subject: string, cells: readonly number[]): Finding {
  const total = cells.reduce((sum, one) => sum + one, 0);
  const spread = `${total} cells on ${cells.length} masters: ${cells.join(', ')}`;
  if (Math.max(...cells) - Math.min(...cells) <= 1) return ok(subject, spread);
  return warn(subject, `${spread}; the masters’ shares of the load differ as much`, 'redis-cli --cluster rebalance');
}

/** One server that serves two regions would be evicted twice and know two positions; one that is cache and log would evict the log. */
export function checkDistinct(servers: readonly { readonly name: string; readonly runId: string }[]): Finding[] {
  return servers.flatMap(({ name, runId }, i) => {
    const first = servers.slice(0, i).find((other) => other.runId === runId && runId !== '');
    return first === undefined ? [] : [fail(name, `is the same server as ${first.name}`, 'give each its own Redis')];
  });
}
