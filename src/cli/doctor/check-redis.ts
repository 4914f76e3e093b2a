import { fail, type Finding, ok, warn } from './finding.ts';

export interface RedisFacts {
  /** As INFO says, such as 7.2.4. */
  readonly version: string;
  readonly runId: string;
  /** 0 is without a limit. */
  readonly maxmemoryBytes: number;
  readonly maxmemoryPolicy: string;
  readonly isCluster: boolean;
  /** Values of the bus among some that were looked at, and how many of them have no TTL. */
  readonly sampled: number;
  readonly withoutTtl: number;
}

/** A region's cache: it must be able to forget values, and must not forget the bus's records. */
export function checkCache(region: string, facts: RedisFacts): Finding[] {
  const subject = `redis of ${region}`;
  const findings: Finding[] = [];
  const major = Number(facts.version.split('.')[0]);
  findings.push(
    major >= 7
      ? ok(subject, `version ${facts.version}`)
      : fail(
          subject,
          `version ${facts.version}: 7 or newer is needed, for scripts that work when memory is full`,
          'upgrade the server',
        ),
  );
  if (facts.isCluster)
    findings.push(
      fail(subject, 'is a Redis Cluster, which this release does not serve', 'use one Redis, or Redis with Sentinel'),
    );
  if (facts.maxmemoryBytes === 0) {
    findings.push(
      fail(
        subject,
        'maxmemory is not set: a cache without a limit takes the machine with it',
        'CONFIG SET maxmemory 1gb',
      ),
    );
  }
  findings.push(checkPolicy(subject, facts.maxmemoryPolicy));
  if (facts.withoutTtl > 0)
    findings.push(
      warn(
        subject,
        `${facts.withoutTtl} of ${facts.sampled} values looked at have no TTL: nothing but an eviction ends them`,
        'SET … EX seconds, by whoever writes them',
      ),
    );
  return findings;
}

function checkPolicy(subject: string, policy: string): Finding {
  if (policy === 'noeviction')
    return fail(
      subject,
      'maxmemory-policy is noeviction: a full cache refuses every write',
      'CONFIG SET maxmemory-policy volatile-lru',
    );
  if (policy.startsWith('allkeys-')) {
    return warn(
      subject,
      `maxmemory-policy is ${policy}: it may drop the bus's own records, and then the cell begins anew`,
      'CONFIG SET maxmemory-policy volatile-lru',
    );
  }
  return ok(subject, `maxmemory-policy is ${policy}: values have TTLs, the bus's records have none`);
}

/** One server that serves two regions would be evicted twice and know two positions. */
export function checkDistinct(servers: readonly { readonly name: string; readonly runId: string }[]): Finding[] {
  return servers.flatMap(({ name, runId }, i) => {
    const first = servers.slice(0, i).find((other) => other.runId === runId);
    return first === undefined ? [] : [fail(name, `is the same server as ${first.name}`, 'give each its own Redis')];
  });
}

export interface LogRedisFacts {
  readonly appendonly: boolean;
  readonly appendfsync: string;
  readonly maxmemoryPolicy: string;
}

/** The Redis of the log: the reverse of a cache. It must never forget. */
export function checkLogRedis(facts: LogRedisFacts): Finding[] {
  const subject = 'log in redis';
  const isDurable = facts.appendonly && facts.appendfsync === 'always';
  return [
    isDurable
      ? ok(subject, 'keeps what it acknowledges: appendonly, appendfsync always')
      : fail(
          subject,
          `may forget what it acknowledged: appendonly ${facts.appendonly ? 'yes' : 'no'}, appendfsync ${facts.appendfsync}`,
          'CONFIG SET appendonly yes; CONFIG SET appendfsync always',
        ),
    facts.maxmemoryPolicy === 'noeviction'
      ? ok(subject, 'maxmemory-policy is noeviction')
      : fail(
          subject,
          `maxmemory-policy is ${facts.maxmemoryPolicy}: it may evict the log`,
          'CONFIG SET maxmemory-policy noeviction',
        ),
  ];
}
