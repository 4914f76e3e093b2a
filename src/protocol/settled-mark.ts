import { LSN_ZERO, type Lsn, lsnFromHex, lsnToHex } from './lsn.ts';

/**
 * The LSN up to which every commit is visible to a new read of a source of reads, on a timeline. As text `<timeline>:<lsn>`,
 * 8 and 16 hex digits: text order is (timeline, LSN) order, which is what the scripts compare.
 */
export interface SettledMark {
  readonly timeline: number;
  readonly lsn: Lsn;
}

export const NOTHING_SETTLED: SettledMark = { timeline: 0, lsn: LSN_ZERO };

export function printSettledMark(mark: SettledMark): string {
  return `${mark.timeline.toString(16).padStart(8, '0')}:${lsnToHex(mark.lsn)}`;
}

export function parseSettledMark(text: string): SettledMark {
  return { timeline: Number.parseInt(text.slice(0, 8), 16), lsn: lsnFromHex(text.slice(9)) };
}
