import type { Writable } from 'node:stream';
import { BusError } from '../protocol/errors.ts';
import { redactUrls } from '../protocol/redact.ts';

/** Where a command writes: results to `out`, everything else to `err`. */
export interface Output {
  readonly out: Writable & { readonly isTTY?: boolean };
  readonly err: Writable;
}

export const processOutput: Output = { out: process.stdout, err: process.stderr };

export function printLines(to: Writable, lines: readonly string[]): void {
  if (lines.length > 0) to.write(`${lines.join('\n')}\n`);
}

/** One JSON object on one line. 64-bit numbers become text. */
export function printJson(to: Writable, value: unknown): void {
  to.write(`${JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? one.toString() : one))}\n`);
}

/** An error for a person: code, place, what happened, what to do. Never a secret. */
export function printError(to: Writable, error: unknown): void {
  if (!(error instanceof BusError)) {
    to.write(`${redactUrls(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
    return;
  }
  const place = error.at === undefined ? '' : ` (${redactUrls(error.at)})`;
  to.write(`${error.code}${place}: ${redactUrls(error.message)}\n  ${error.hint}\n`);
}

/** Rows under headings, columns as wide as their widest cell. */
export function tableOf(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [headings, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
