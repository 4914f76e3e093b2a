import type { WarmupConfig } from '../../config/bus-config.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { PlanFamily, WarmupPlan } from '../../warmup/plan.ts';
import type { Warmup, WarmupEnd } from '../../warmup/warmup.ts';
import { LiveBlock } from '../live-block.ts';
import { type Output, printJson, printLines, tableOf } from '../output.ts';
import type { WarmupOptions } from './options.ts';

/** In a pipe a line so often. */
const LINE_MS = 5000;

/** Statements that the estimate of time assumes at a time: what a database bears is measured, not known. */
const ASSUMED_CONCURRENCY = 2;

/** What a warm-up would do: nothing is loaded and nothing is written. */
export function showPlan(
  output: Output,
  plan: WarmupPlan,
  { target, batchMax }: WarmupConfig,
  { json }: WarmupOptions,
): void {
  const summary = plan.summary(target);
  const loads = Math.ceil(summary.keysToTarget / batchMax);
  const seconds = summary.loadMs === 0 ? null : summary.loadMs / 1000 / ASSUMED_CONCURRENCY;
  if (json) return printJson(output.out, { ...summary, target, loads, seconds });
  const rows = (families: readonly PlanFamily[], what: string): string[][] =>
    families.map((one) => [one.family, what, number(one.keys), one.readsPerSecond.toFixed(1), megabytes(one.bytes)]);
  printLines(output.out, [
    ...tableOf(
      ['family', '', 'hot keys', 'reads/s', 'values'],
      [
        ...rows(summary.families, 'loaded'),
        ...rows(summary.leftOut, 'left out: no source'),
        ...rows(summary.formerKeys, 'left out: keys of a former template'),
      ],
    ),
    '',
    `${number(summary.keysToTarget)} of ${number(summary.keys)} keys make ${percent(target)} of ${summary.readsPerSecond.toFixed(1)} reads/s`,
    `${number(loads)} statements of ${batchMax} keys at most${seconds === null ? '' : `; loaded one by one they took ${Math.ceil(seconds * ASSUMED_CONCURRENCY)} s of the database`}`,
    'nothing was loaded',
  ]);
}

/** How a warm-up stands: on a terminal a table in its place, in a pipe a line now and then, or JSON. */
export class WarmupScreen {
  readonly #output: Output;
  readonly #json: boolean;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #block: LiveBlock;
  readonly #beganMs: number;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(output: Output, { json }: WarmupOptions, clock: Pick<Clock, 'monotonicMs'>) {
    this.#output = output;
    this.#json = json;
    this.#clock = clock;
    this.#block = new LiveBlock(output.out);
    this.#beganMs = clock.monotonicMs();
  }

  show(warmup: Warmup): void {
    const { facts } = warmup;
    const nowMs = this.#clock.monotonicMs();
    const seconds = Math.round((nowMs - this.#beganMs) / 1000);
    if (this.#block.isLive && !this.#json) {
      const rows = [...warmup.families].map(([family, one]) => [
        family,
        ...[one.loaded, one.wereWarm, one.none, one.notStored, one.failed].map(number),
      ]);
      return this.#block.show([
        `${percent(facts.share)} of the reads warm, ${seconds} s; ${facts.concurrency} × ${facts.batch} keys at a time`,
        ...tableOf(['family', 'loaded', 'were warm', 'nothing there', 'not stored', 'failed'], rows),
      ]);
    }
    if (nowMs - this.#lastMs < LINE_MS) return;
    this.#lastMs = nowMs;
    if (this.#json) return printJson(this.#output.out, { event: 'progress', seconds, ...facts });
    printLines(this.#output.out, [
      `${seconds} s: ${percent(facts.share)} of the reads warm; loaded ${number(facts.loaded)}, were warm ${number(facts.wereWarm)}, failed ${number(facts.failed)}; ${facts.concurrency} × ${facts.batch} keys at a time`,
    ]);
  }
}

const ENDS: Readonly<Record<WarmupEnd['kind'], string>> = {
  warm: 'the region is warm',
  moved: 'the region’s gate is another: it was emptied, or began anew, while it was warmed. Start again',
  never: 'it would end so each time',
  short: 'what crossed it, or took too long, keeps the share below the target. Start again, or lower the target',
  stopped: 'stopped: what is loaded stays, and a next one goes on from there',
};

export function showEnd({ out, err }: Output, end: WarmupEnd, { json }: WarmupOptions): void {
  const why = end.kind === 'never' ? (end.error as Error).message : undefined;
  if (json) return printJson(out, { event: 'end', end: end.kind, ...(why === undefined ? {} : { error: why }) });
  const to = end.kind === 'warm' || end.kind === 'stopped' ? out : err;
  printLines(to, [why === undefined ? ENDS[end.kind] : `${ENDS[end.kind]}: ${why}`]);
}

function number(value: number): string {
  return value.toLocaleString('en');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MB`;
}
