import { EXIT } from '../exit-code.ts';
import { printJson, printLines, tableOf } from '../output.ts';
import type { RegionGate } from '../../protocol/region-gate.ts';
import { type BusStatus, isUnreachable, readStatus } from '../status/status.ts';
import { type CommandContext, configOf } from './context.ts';

/** `afterwrite status`: one screen. Exits 1 if anything cannot be reached, no relay streams, a region has cells that nobody owns, or a buffer is behind. */
export async function statusCommand(context: CommandContext): Promise<number> {
  const status = await readStatus(await configOf(context), () => Date.now());
  const isWell = isWhole(status);
  if (context.json) printJson(context.output.out, { ok: isWell, ...status });
  else printLines(context.output.out, statusLines(status));
  return isWell ? EXIT.ok : EXIT.failed;
}

export function isWhole({ source, log, regions, buffers }: BusStatus): boolean {
  if (isUnreachable(source) || isUnreachable(log) || source.relay === null) return false;
  if (!Object.values(buffers).every((buffer) => !isUnreachable(buffer) && !buffer.isBehind)) return false;
  return Object.values(regions).every(
    (region) => !isUnreachable(region) && region.ownedCells === region.cells && region.watermark !== null,
  );
}

export function statusLines({ bus, source, log, regions, buffers }: BusStatus): string[] {
  const rows = Object.entries(regions).map(([name, region]) => {
    if (isUnreachable(region)) return [name, 'away', '-', '-', '-', '-', '-'];
    const { cells, ownedCells, lostCells, agents, watermark, stalenessMs, settledReplica, gate } = region;
    return [
      name,
      `${ownedCells} of ${cells}${lostCells > 0 ? `, ${lostCells} lost` : ''}`,
      String(agents),
      watermark ?? '-',
      stalenessMs === null ? '-' : `${Math.round(stalenessMs)} ms`,
      settledReplica ?? '-',
      gateText(gate),
    ];
  });
  // Below the table, whose columns they would spread over the screen.
  const away = [...Object.entries(regions), ...Object.entries(buffers)].flatMap(([name, part]) =>
    isUnreachable(part) ? [`${name}: ${part.error}`] : [],
  );
  return [
    `bus ${bus}`,
    ...sourceLines(source),
    isUnreachable(log)
      ? `log      ${log.error}`
      : `log      ${log.kind} ${log.name}: ${log.partitions} partitions, ${log.records} records`,
    '',
    ...tableOf(['region', 'cells owned', 'agents', 'watermark', 'staleness', 'replicas settled', 'gate'], rows),
    ...bufferLines(buffers),
    ...(away.length === 0 ? [] : ['', ...away]),
  ];
}

function bufferLines(buffers: BusStatus['buffers']): string[] {
  const rows = Object.entries(buffers).map(([name, buffer]) => {
    if (isUnreachable(buffer)) return [name, 'away', '-', '-', '-', '-', '-'];
    const { entries, bytes, oldestMs, isBehind, flushers, lastFlushMs, refusedRows } = buffer;
    return [
      name,
      String(entries),
      megabytes(bytes),
      `${oldestMs} ms${isBehind ? ', behind' : ''}`,
      flushers === null ? '-' : String(flushers),
      lastFlushMs === null ? '-' : `${lastFlushMs} ms ago`,
      refusedRows === null ? '-' : String(refusedRows),
    ];
  });
  const head = ['buffer', 'unflushed', 'bytes', 'oldest', 'flushers', 'last flush', 'refused rows'];
  return rows.length === 0 ? [] : ['', ...tableOf(head, rows)];
}

/** Nobody need ask a gate, so that a COLD one is no fault. */
function gateText({ state, share, admit }: RegionGate): string {
  return state === 'WARMING' ? `${state}, ${percent(share)} warm, admits ${percent(admit)}` : state;
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

function sourceLines(source: BusStatus['source']): string[] {
  if (isUnreachable(source)) return [`source   ${source.error}`];
  const { relay, slot, unrouted } = source;
  return [
    relay === null
      ? 'relay    none streams: start one with `afterwrite relay`'
      : `relay    ${relay.applicationName} from ${relay.clientAddress ?? 'a local socket'}, ${relay.state}, ${megabytes(relay.lagBytes)} behind`,
    slot === null
      ? 'slot     none: run `afterwrite setup`'
      : `slot     ${slot.name}, wal_status ${slot.walStatus}, holds back ${megabytes(slot.retainedWalBytes ?? 0)}, confirmed ${slot.confirmedLsn ?? '-'}`,
    ...(unrouted.length === 0 ? [] : [`unrouted ${unrouted.join(', ')}: published, and no rule names them`]),
  ];
}

function megabytes(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}
