import type { Scenario } from './scenario.ts';

export interface TableRow {
  readonly peer: string;
  readonly version: string;
  readonly settings: string;
  readonly cells: readonly string[];
}

/** A table in Markdown, so that it can be read in a terminal and kept in a file. */
export function tableOf(scenario: Scenario, rows: readonly TableRow[]): string {
  const lines = [
    ['library', 'settings', ...scenario.headings],
    ...rows.map((row) => [`${row.peer} ${row.version}`, row.settings, ...row.cells]),
  ];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const texts = lines.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  texts.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
  return [`${scenario.number}. ${scenario.title}`, '', ...texts, ''].join('\n');
}
