import type { BusConfig, Family, RegionConfig } from '../config/bus-config.ts';
import { EXIT } from '../cli/exit-code.ts';
import { processOutput, type Output } from '../cli/output.ts';
import { showEnd, showPlan, WarmupScreen } from '../cli/warmup/report.ts';
import { exitOfEnd, type WarmupOptions } from '../cli/warmup/options.ts';
import type { BusError } from '../protocol/errors.ts';
import { systemClock } from '../runtime/clock.ts';
import { errorFields } from '../runtime/logger.ts';
import type { Service } from '../runtime/service.ts';
import { untilAnswered } from '../runtime/until-answered.ts';
import { openGradually } from '../warmup/gradual.ts';
import { Pace } from '../warmup/pace.ts';
import { WarmupPlan } from '../warmup/plan.ts';
import { followShadow } from '../warmup/shadow.ts';
import { Warmup, type WarmupEnd } from '../warmup/warmup.ts';
import { type ProcessParts, runProcess } from './process.ts';
import { openWarmCache } from './warm-cache.ts';
import { keyCounts, observeWarmup } from './warmup-observer.ts';
import { openWarmupPorts, type WarmupPorts } from './warmup-ports.ts';

/** Between two tries. A Job has a few tries only, and a pod that ended for a server that is away for a minute would use them up. */
const BACKOFF = { firstMs: 500, maxMs: 10_000 };
/** Between two looks for a gate where there is none yet. */
const GATE_LOOK_MS = 1000;

/** `afterwrite warmup --region NAME`. Returns the exit code. */
export async function runWarmup(
  config: BusConfig,
  region: RegionConfig,
  options: WarmupOptions,
  output: Output = processOutput,
): Promise<number> {
  const ports = openWarmupPorts(config, region);
  try {
    if (options.isPlan) {
      const plan = await planOf(config, ports, options, ({ code, message, at }) =>
        output.err.write(`warning: ${code} (${at}): ${message}\n`),
      );
      showPlan(output, plan, config.warmup, options);
      return EXIT.ok;
    }
    let end: WarmupEnd = { kind: 'stopped' };
    const code = await runProcess('warmup', { bus: config.bus, region: region.name }, async (parts) => {
      const stopping = new AbortController();
      return {
        name: 'warmup',
        isTask: true,
        run: async (stop) => {
          const signal = AbortSignal.any([stop, stopping.signal]);
          end = await new WarmupRun(config, region, options, ports, parts, output).run(signal);
        },
        drain: async () => stopping.abort(),
      } satisfies Service;
    });
    showEnd(output, end, options);
    return code === EXIT.ok ? exitOfEnd(end.kind, options.mode) : code;
  } finally {
    await ports.close();
  }
}

async function planOf(
  config: BusConfig,
  { hotKeys }: WarmupPorts,
  options: WarmupOptions,
  skipped: (error: BusError) => void,
): Promise<WarmupPlan> {
  const canLoad = ({ source }: Family): boolean => source !== undefined;
  const plan = new WarmupPlan(config.families.values(), canLoad, options.shard);
  for await (const keys of hotKeys.of(options.from, skipped)) plan.add(keys);
  plan.sort();
  return plan;
}

/** One run of the program, of any mode. */
class WarmupRun {
  readonly #config: BusConfig;
  readonly #region: RegionConfig;
  readonly #options: WarmupOptions;
  readonly #ports: WarmupPorts;
  readonly #parts: ProcessParts;
  readonly #output: Output;

  constructor(
    config: BusConfig,
    region: RegionConfig,
    options: WarmupOptions,
    ports: WarmupPorts,
    parts: ProcessParts,
    output: Output,
  ) {
    this.#config = config;
    this.#region = region;
    this.#options = options;
    this.#ports = ports;
    this.#parts = parts;
    this.#output = output;
  }

  async run(stop: AbortSignal): Promise<WarmupEnd> {
    const { log } = this.#parts;
    const epoch = await this.#epoch(stop);
    if (epoch === undefined) return { kind: 'stopped' };
    const { epoch: wanted = epoch } = this.#options;
    if (epoch !== wanted) return { kind: 'moved' };
    log.info('warming', { epoch, mode: this.#options.mode, from: this.#options.from });
    const end = this.#options.mode === 'gradual' ? await this.#gradual(epoch, stop) : await this.#load(epoch, stop);
    log.info('ended', { end: end.kind, ...(end.kind === 'never' ? errorFields(end.error) : {}) });
    return end;
  }

  /** The gate's, once there is one: an agent makes it. */
  async #epoch(stop: AbortSignal): Promise<string | undefined> {
    for (let looks = 0; !stop.aborted; looks += 1) {
      const gate = await this.#answered(() => this.#ports.gate.read(), stop);
      if (gate === undefined) break;
      if (gate !== null) return gate.epoch;
      if (looks === 0) this.#parts.log.warn('the region has no gate yet: an agent makes it; waiting for one');
      await systemClock.sleep(GATE_LOOK_MS, stop);
    }
    return undefined;
  }

  /** What is away at the start, or before a round of a shadow, is waited for. */
  #answered<T>(ask: () => Promise<T>, stop: AbortSignal): Promise<T | undefined> {
    const away = (error: unknown): void => this.#parts.log.warn('no answer yet; asking again', errorFields(error));
    return untilAnswered(ask, { clock: systemClock, random: Math.random, backoff: BACKOFF, away }, stop);
  }

  /** Nothing says what is read, so nothing says how much of it is warm. Readers may still fill the region, or the next round of a shadow knows more. */
  async #unknown(epoch: string, stop: AbortSignal): Promise<WarmupEnd> {
    const { log } = this.#parts;
    const { mode, from } = this.#options;
    if (mode === 'eager') {
      log.warn('nothing is known of what is read in the region: its gate opens by steps of time');
      return this.#gradual(epoch, stop);
    }
    log.warn('nothing is known of what is read there: the gate is told nothing, and a next round looks again', {
      from,
    });
    const gate = await this.#answered(() => this.#ports.gate.read(), stop);
    if (gate === undefined) return { kind: 'stopped' };
    return gate?.epoch === epoch ? { kind: 'short', share: 0 } : { kind: 'moved' };
  }

  #gradual(epoch: string, stop: AbortSignal): Promise<WarmupEnd> {
    const { ramp, rampStepMs } = this.#config.warmup;
    const { log, metrics } = this.#parts;
    const parts = {
      gate: this.#ports.gate,
      epoch,
      shares: ramp.map(({ share }) => share),
      stepMs: rampStepMs,
      clock: systemClock,
      progress: (share: number) => {
        metrics.set('afterwrite_warmup_share', share, { region: this.#region.name });
        log.info('a step of the gate', { share });
      },
      hindered: (error: unknown) => log.warn('the region’s gate does not answer; going on', errorFields(error)),
    };
    return openGradually(parts, stop);
  }

  async #load(epoch: string, stop: AbortSignal): Promise<WarmupEnd> {
    const { mode, forMs } = this.#options;
    const { log } = this.#parts;
    const name = `afterwrite-warmup-${this.#config.bus}`;
    const pace = new Pace(this.#config.warmup, systemClock.monotonicMs());
    const { reader, close } = await openWarmCache({ config: this.#config, region: this.#region, name, log });
    const round = (signal: AbortSignal): Promise<WarmupEnd> => this.#round(epoch, reader, pace, signal);
    try {
      if (mode === 'eager') return await round(stop);
      const shadow = { round, clock: systemClock, ...(forMs === undefined ? {} : { forMs }) };
      return await followShadow(shadow, stop);
    } finally {
      await close();
    }
  }

  async #round(
    epoch: string,
    reader: ConstructorParameters<typeof Warmup>[0]['reader'],
    pace: Pace,
    stop: AbortSignal,
  ): Promise<WarmupEnd> {
    const { log, metrics } = this.#parts;
    const { name } = this.#region;
    const skipped = (error: BusError): void =>
      log.warn('hot keys that cannot be read are left out', errorFields(error));
    const plan = await this.#answered(() => planOf(this.#config, this.#ports, this.#options, skipped), stop);
    if (plan === undefined) return { kind: 'stopped' };
    if (plan.published === 0) return this.#unknown(epoch, stop);
    const { target } = this.#config.warmup;
    const { families: _families, leftOut, formerKeys, ...facts } = plan.summary(target);
    log.info('planned', { ...facts, leftOut: leftOut.map(({ family }) => family) });
    for (const { family, keys } of formerKeys)
      log.warn('keys that are none of their family as the file has it are left out: of a former template', {
        family,
        keys,
      });
    const screen = new WarmupScreen(this.#output, this.#options, systemClock);
    const count = keyCounts(name, metrics);
    const observer = observeWarmup(
      name,
      metrics,
      log,
      () => systemClock.monotonicMs(),
      () => {
        count(warmup.families);
        screen.show(warmup);
      },
    );
    const { gate } = this.#ports;
    const warmup = new Warmup({
      plan,
      reader,
      gate,
      epoch,
      shard: this.#options.shard,
      target,
      waits: this.#options.mode !== 'shadow',
      pace,
      clock: systemClock,
      observer,
    });
    return warmup.run(stop);
  }
}
