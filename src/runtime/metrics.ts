import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type MetricEntry, type MetricName, METRICS } from '../protocol/metric-names.ts';

export type Labels = Readonly<Record<string, string>>;

/** The metrics of one process, by the table of names. A call with a name of the wrong kind is an error of the program, and throws. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #updates: (() => void)[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    for (const [name, entry] of Object.entries(METRICS) as [MetricName, MetricEntry][]) {
      const options = { name, help: entry.help, labelNames: [...(entry.labels ?? [])], registers: [this.#registry] };
      if (entry.kind === 'counter') this.#counters.set(name, new Counter(options));
      else if (entry.kind === 'gauge') this.#gauges.set(name, new Gauge(options));
      else this.#histograms.set(name, new Histogram({ ...options, buckets: [...(entry.buckets ?? [])] }));
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** `update` is called before each text: for what the passing of time alone makes another. */
  beforeText(update: () => void): void {
    this.#updates.push(update);
  }

  /** In Prometheus's text format. */
  text(): Promise<string> {
    for (const update of this.#updates) update();
    return this.#registry.metrics();
  }

  add(name: MetricName, by = 1, labels: Labels = {}): void {
    known(this.#counters, name).inc(labels, by);
  }

  set(name: MetricName, value: number, labels: Labels = {}): void {
    known(this.#gauges, name).set(labels, value);
  }

  /** Takes a gauge's series away: its value is not known, or is another process's to tell. */
  unset(name: MetricName, labels: Labels): void {
    known(this.#gauges, name).remove(labels);
  }

  observe(name: MetricName, seconds: number, labels: Labels = {}): void {
    known(this.#histograms, name).observe(labels, seconds);
  }
}

function known<T>(map: ReadonlyMap<string, T>, name: string): T {
  const metric = map.get(name);
  if (metric === undefined) throw new TypeError(`${name} is no metric of this kind.`);
  return metric;
}
