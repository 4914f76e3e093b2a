import type { ApplyBatch, OwedRefresh } from '../../src/agent/region-store.ts';
import type { Entry, StoreRequest } from '../../src/client/cache-store.ts';
import type { LeaseReading } from '../../src/protocol/fill.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import {
  batchOf,
  entryOf,
  epochOf,
  evictionOf,
  leaseOf,
  type RegionUnderTest,
  rulesOf,
  SOURCE,
} from './region-under-test.ts';

/** A call on a region of either kind. Its answer is compared. */
export interface RegionCall {
  readonly name: string;
  /** One step: it looks at nothing before it acts, so that many may be under way on one connection. */
  run(region: RegionUnderTest): Promise<unknown>;
}

type Stamp = Omit<LeaseReading, Exclude<keyof LeaseReading, 'epoch' | 'offset'>>;
type Pick = <T>(list: readonly T[]) => T;

const CELL = entryOf('user:1').cell;
const AGENTS = ['a'.repeat(16), 'b'.repeat(16)];
const READERS = ['T1', 'T2', 'T3'];
const TAGS = [3, 7, 700];
/** Keys of one cell, two of them in one bucket with one hash, and one of another family that is plain. */
const ENTRIES: readonly Entry[] = [
  { ...entryOf('user:1'), bucket: 1, hash: 11 },
  { ...entryOf('user:2'), bucket: 1, hash: 12 },
  { ...entryOf('user:3'), bucket: 1, hash: 11 },
  { ...entryOf('plain:1', { family: 'other', isPlain: true }), bucket: 2, hash: 21 },
].map((entry) => ({ ...entry, cell: CELL }));
const NO_REFRESH: OwedRefresh = { key: 'user:1', family: 'user', change: 'none' };
/** Far apart, so that the moments at which the two are asked make no difference. */
const TTLS = [60_000, 600_000];
const STALE = [0, 300_000, 1_200_000];
const LEASES = [30_000, 3_600_000];

/** Draws calls that mostly make sense: each is told what the model has answered to the ones before, and now and then does not care. */
export class RandomCalls {
  readonly #below: (bound: number) => number;
  readonly #pick: Pick;
  readonly #model: RegionUnderTest;
  readonly #readings = new Map<string, Stamp>();
  #owner = '';
  #offset = 0;
  #lsn = 10;
  #epochs = 0;
  #rule = 'h1';
  #ids = 0;
  /** The ids of what was to be stored last. */
  #stored: readonly string[] = ['i0'];

  constructor(model: RegionUnderTest, below: (bound: number) => number) {
    this.#model = model;
    this.#below = below;
    this.#pick = (list) => list[below(list.length)] as (typeof list)[number];
  }

  /** What every sequence begins with. */
  async opening(step: number): Promise<RegionCall> {
    if (step === 0) return this.#take();
    return step === 1 ? this.#beginEpoch() : this.#apply({ rules: this.#rules() });
  }

  async next(): Promise<RegionCall> {
    const draw = this.#below(100);
    if (draw < 14) return this.#lease();
    if (draw < 19) return this.#leaseToWrite();
    if (draw < 34) return this.#store();
    if (draw < 44) return this.#read();
    if (draw < 50) return this.#giveUp();
    if (draw < 74) return this.#apply(this.#effects());
    if (draw < 77) return this.#settleReplica();
    if (draw < 80) return this.#beginEpoch();
    if (draw < 83) return this.#take();
    if (draw < 86) return this.#agentCall();
    if (draw < 91) return this.#sweepCall();
    return this.#mishap();
  }

  /** Asks for everything that a port can show. */
  closing(): RegionCall[] {
    const agent = this.#owner;
    return [
      { name: 'owners', run: ({ agent: store }) => store.owners() },
      { name: 'read cell', run: ({ agent: store }) => store.read(CELL) },
      { name: 'owed', run: ({ agent: store }) => store.owedSweeps([CELL]) },
      { name: 'rules', run: ({ reader }) => reader.rules() },
      ...ENTRIES.flatMap((entry): RegionCall[] => [
        { name: `read ${entry.key}`, run: ({ reader }) => reader.read(entry, { ttl: true, watermark: true }) },
        { name: `get ${entry.key}`, run: (region) => region.get(entry) },
        { name: `drop ${entry.key}`, run: ({ reader }) => reader.evict([entry]) },
        {
          name: `reading ${entry.key}`,
          run: ({ reader }) => reader.lease(entry, leaseOf('Z', { rule: this.#rule })),
        },
      ]),
      { name: 'beat', run: ({ agent: store }) => store.beat([CELL], agent) },
    ];
  }

  #read(): RegionCall {
    const entry = this.#pick(ENTRIES);
    const wants = { ttl: this.#below(2) === 0, watermark: this.#below(2) === 0 };
    return { name: `read ${entry.key}`, run: ({ reader }) => reader.read(entry, wants) };
  }

  #lease(): RegionCall {
    const entry = this.#pick(ENTRIES);
    const token = this.#pick(READERS);
    const request = leaseOf(token, {
      rule: this.#below(20) === 0 ? 'hx' : this.#rule,
      leaseMs: this.#pick(LEASES),
      staleMs: this.#pick(STALE),
      waits: this.#below(2) === 0,
      ...(this.#below(3) === 0 ? { early: this.#pick(this.#stored) } : {}),
      version: this.#version(),
    });
    return {
      name: `lease ${entry.key} ${show(request)}`,
      run: async (region) => {
        const reply = await region.reader.lease(entry, request);
        if (region === this.#model && reply.kind === 'leased')
          this.#readings.set(`${entry.key} ${token}`, reply.reading);
        return reply;
      },
    };
  }

  #leaseToWrite(): RegionCall {
    const entry = this.#pick(ENTRIES);
    const token = this.#pick(READERS);
    const request = {
      token,
      rule: this.#below(20) === 0 ? 'hx' : this.#rule,
      leaseMs: this.#pick(LEASES),
    };
    return {
      name: `write-lease ${entry.key} ${show(request)}`,
      run: async (region) => {
        const reply = await region.reader.leaseToWrite(entry, request);
        if (region === this.#model && reply.kind === 'leased')
          this.#readings.set(`${entry.key} ${token}`, reply.reading);
        return reply;
      },
    };
  }

  #store(): RegionCall {
    const held = [...this.#readings.keys()];
    const [key = '', token = ''] = (held.length === 0 || this.#below(6) === 0 ? 'user:1 T1' : this.#pick(held)).split(
      ' ',
    );
    const entry = ENTRIES.find((one) => one.key === key) ?? this.#pick(ENTRIES);
    const reading = this.#readings.get(`${key} ${token}`);
    this.#readings.delete(`${key} ${token}`);
    const request: StoreRequest = {
      token,
      epoch: this.#below(15) === 0 ? 'e0' : (reading?.epoch ?? 'e1'),
      offset: (reading?.offset ?? 0) + (this.#below(15) === 0 ? 1 : 0),
      bound: lsn(this.#below(4) === 0 ? this.#below(this.#lsn) : this.#lsn + 1),
      rule: this.#below(20) === 0 ? 'hx' : this.#rule,
      tagMarks: TAGS.filter(() => this.#below(3) === 0),
      ttlMs: this.#pick(TTLS),
      payload: this.#pick([null, 'v', 'two\nlines', '', '\u0000\u0001\u00ff\u00c3\n\u0080']),
      id: `i${(this.#ids += 1)}`,
      flags: { loadMs: this.#pick([undefined, 12]), version: this.#version() },
    };
    this.#stored = [...this.#stored.slice(-2), request.id];
    return { name: `store ${entry.key} ${show(request)}`, run: ({ reader }) => reader.store(entry, request) };
  }

  /** Mostly the same, so that values stand for longer. */
  #version(): number {
    return this.#below(12) === 0 ? 1 : 0;
  }

  #giveUp(): RegionCall {
    const entry = this.#pick(ENTRIES);
    const token = this.#pick(READERS);
    return { name: `give up ${entry.key} ${token}`, run: ({ reader }) => reader.giveUp(entry, token) };
  }

  #apply(effects: Partial<ApplyBatch>): RegionCall {
    const token = this.#someone();
    this.#lsn += this.#below(5);
    const after = this.#below(20) === 0 ? this.#offset + 1 : this.#offset;
    const batch = batchOf(after, {
      watermark: lsn(this.#lsn - this.#below(5)),
      asOfMs: this.#below(1000) / 4,
      settledPrimary: { timeline: 1 + (this.#below(30) === 0 ? 1 : 0), lsn: lsn(this.#below(this.#lsn)) },
      hasReplicas: this.#below(2) === 0,
      sourceEpoch: { ...SOURCE, timeline: 1 + this.#below(2) },
      ...effects,
    });
    return {
      name: `apply by ${token} ${show(batch)}`,
      run: async (region) => {
        const answer = await region.agent.apply(CELL, token, batch);
        if (region === this.#model && answer.kind === 'applied') this.#offset = batch.offset;
        return answer;
      },
    };
  }

  #effects(): Partial<ApplyBatch> {
    const evicted = ENTRIES.filter(() => this.#below(4) === 0);
    // What a relay sends once more is older than what has come meanwhile.
    const eviction = evictionOf(evicted, Math.max(1, this.#lsn - this.#below(8)));
    const crowd = this.#below(3) === 0 ? this.#crowd() : undefined;
    const marks = ['f:user', 'f:other', ...TAGS.map((tag) => `t:${tag}`)]
      .filter(() => this.#below(12) === 0)
      .map((field) => ({ field, offset: this.#offset + 1, lsn: lsn(this.#below(this.#lsn + 1)) }));
    const sweeps = new Map(marks.map(({ field, offset }) => [field, String(offset)]));
    const rules = this.#below(15) === 0 ? this.#rules() : [];
    const expires = ENTRIES.filter(({ key }) => !eviction.keys.includes(key) && this.#below(6) === 0).map(
      ({ key, isPlain, family }) => ({ key, isPlain, family, ruleHash: this.#rule, staleMs: 300_000 }),
    );
    const acted = new Set([...eviction.keys, ...expires.map(({ key }) => key)]);
    const refreshes = ENTRIES.filter(({ key }) => !acted.has(key) && this.#below(6) === 0).map(
      ({ key, isPlain, family }) => ({ key, isPlain, family, commitLsn: lsn(this.#below(this.#lsn + 1)) }),
    );
    return { ...eviction, expires, refreshes, fences: crowd ?? eviction.fences, marks, sweeps, rules };
  }

  /** More entries than a bucket takes. */
  #crowd(): ApplyBatch['fences'] {
    const crowd = Array.from({ length: 1 + this.#below(12) }, () => ({
      ...entryOf('x'),
      bucket: 1,
      hash: 11 + this.#below(9),
    }));
    const parts = [crowd.slice(0, 6), crowd.slice(6)].filter((part) => part.length > 0);
    return evictionOf(parts[this.#below(parts.length)] ?? [], Math.max(1, this.#lsn - this.#below(8))).fences;
  }

  #rules(): ApplyBatch['rules'] {
    return Array.from({ length: 1 + this.#below(2) }, () => {
      this.#rule = this.#pick(['h1', 'h2', 'h1 text', 'h2 text integer']);
      const families = ['user', 'other', 'user'].slice(this.#below(5) === 0 ? 1 + this.#below(2) : 0).slice(0, 2);
      return rulesOf(Object.fromEntries(families.map((name) => [name, this.#rule])), this.#offset + 1, this.#lsn);
    });
  }

  #beginEpoch(): RegionCall {
    const token = this.#someone();
    const epoch = {
      ...epochOf(
        `e${(this.#epochs += 1)}`,
        this.#pick([this.#offset, this.#offset, null]),
        this.#offset + this.#below(3),
      ),
      floor: lsn(this.#below(this.#lsn)),
      watermark: lsn(this.#lsn),
    };
    return {
      name: `begin epoch by ${token} ${show(epoch)}`,
      run: async (region) => {
        const answer = await region.agent.beginEpoch(CELL, token, epoch);
        if (region === this.#model && answer.kind === 'applied') this.#offset = epoch.offset;
        return answer;
      },
    };
  }

  #settleReplica(): RegionCall {
    const token = this.#someone();
    const mark = { timeline: 1 + this.#below(2), lsn: lsn(this.#below(this.#lsn)) };
    return { name: `settle ${show(mark)}`, run: ({ agent }) => agent.settleReplica([CELL], token, mark) };
  }

  async #take(): Promise<RegionCall> {
    const token = this.#pick(AGENTS);
    const seen = this.#below(10) === 0 ? '' : String((await this.#model.agent.owners())[CELL] ?? '');
    return {
      name: `take by ${token} from ${seen}`,
      run: async (region) => {
        const answer = await region.agent.take(CELL, seen, token);
        if (region === this.#model && answer.kind === 'taken') this.#owner = token;
        return answer;
      },
    };
  }

  #agentCall(): RegionCall {
    const token = this.#someone();
    return this.#pick<RegionCall>([
      { name: `beat ${token}`, run: ({ agent }) => agent.beat([CELL], token) },
      { name: `release ${token}`, run: ({ agent }) => agent.release(CELL, token) },
      { name: 'read cell', run: ({ agent }) => agent.read(CELL) },
    ]);
  }

  async #sweepCall(): Promise<RegionCall> {
    const { owed } = await this.#model.agent.owedRefreshes(CELL, '0');
    const refresh = owed.length === 0 ? NO_REFRESH : this.#pick(owed);
    const token = this.#someone();
    const isPlain = this.#below(2) === 0;
    const family = this.#pick(['user', 'other']);
    const some = ENTRIES.filter((entry) => entry.isPlain === isPlain).map(({ key }) => key);
    const stands = [...((await this.#model.agent.owedSweeps([CELL]))[0] ?? [])];
    const field = this.#pick(['f:user', 'f:other', 't:7', '*']);
    const value = this.#pick([String(this.#offset), `e${this.#epochs}`]);
    const done = new Map(this.#below(2) === 0 ? stands : [[field, value]]);
    // What the agent's file has, one family a time or both: by either rule, or not at all.
    const rules = new Map(
      ['user', 'other'].filter(() => this.#below(4) > 0).map((name) => [name, this.#pick(['h1', 'h2'])]),
    );
    return this.#pick<RegionCall>([
      {
        name: `sweep ${family} ${some.join()}`,
        run: async ({ agent }) => (some.length === 0 ? 0 : agent.sweep(CELL, token, { family, keys: some, isPlain })),
      },
      {
        name: `clear ${show([...done])} by ${show([...rules])}`,
        run: ({ agent }) => agent.clearSweeps(CELL, token, done, rules),
      },
      { name: 'owed', run: ({ agent }) => agent.owedSweeps([CELL]) },
      {
        name: 'owed refreshes',
        run: ({ agent }) => agent.owedRefreshes(CELL, '0').then(({ owed: all }) => inOrder(all)),
      },
      { name: `clear ${show(refresh)}`, run: ({ agent }) => agent.clearRefresh(CELL, refresh) },
    ]);
  }

  /** What others do to a Redis. */
  async #mishap(): Promise<RegionCall> {
    const entry = this.#pick(ENTRIES);
    // A copy of a value that somebody has kept and sets again. The end of a lease in it differs.
    const kept = (await this.#model.get(entry)) ?? 'aw1 v e1';
    const text = kept.includes(':') ? 'theirs' : kept;
    const place = this.#pick(['value', 'beside'] as const);
    const rare = this.#below(6) === 0;
    return this.#pick<RegionCall>([
      { name: `drop ${place} ${entry.key}`, run: (region) => region.drop(entry, place) },
      { name: `set ${entry.key}`, run: (region) => region.set(entry, 'theirs') },
      { name: `evict ${entry.key}`, run: ({ reader }) => reader.evict([entry]) },
      { name: `set ${entry.key} ${text}`, run: (region) => region.set(entry, text) },
      ...(rare
        ? [
            { name: 'lose record', run: (region: RegionUnderTest) => region.loseRecord(CELL) },
            { name: 'lose state', run: (region: RegionUnderTest) => region.loseState(CELL) },
          ]
        : []),
    ]);
  }

  #someone(): string {
    return this.#below(15) === 0 ? this.#pick(AGENTS) : this.#owner;
  }
}

export function show(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one === 'bigint') return one.toString();
    return one instanceof Map ? [...one] : one;
  });
}

function inOrder(owed: readonly OwedRefresh[]): OwedRefresh[] {
  return owed.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
