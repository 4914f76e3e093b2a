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
  if (lines.length > 0) to.write(`${redactUrls(lines.join('\n'))}\n`);
}

/** One JSON object on one line, never a secret in it. 64-bit numbers become text. */
export function printJson(to: Writable, value: unknown): void {
  const plain = (_key: string, one: unknown): unknown => {
    if (typeof one === 'bigint') return one.toString();
    return typeof one === 'string' ? redactUrls(one) : one;
  };
  to.write(`${JSON.stringify(value, plain)}\n`);
}

/** An error for a person: code, place, what happened, what to do. Never a secret. */
export function printError(to: Writable, error: unknown): void {
  if (!(error instanceof BusError)) {
    to.write(
      `UNEXPECTED: ${redactUrls(error instanceof Error ? error.message || error.name : String(error))}\n${where(error)}`,
    );
    return;
  }
  const place = error.at === undefined ? '' : ` (${redactUrls(error.at)})`;
  to.write(`${error.code}${place}: ${redactUrls(error.message)}\n  ${error.hint}\n`);
}

/** A stack is of use to whoever mends the program, and to nobody else. */
function where(error: unknown): string {
  if (process.env['AFTERWRITE_LOG_LEVEL'] !== 'debug')
    return '  This is a fault of the program. AFTERWRITE_LOG_LEVEL=debug says where: please report it.\n';
  return error instanceof Error && error.stack !== undefined ? `${redactUrls(error.stack)}\n` : '';
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
