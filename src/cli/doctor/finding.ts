/** One line of the doctor's: what was looked at, how it is, and, where it is not well, the command that mends it. */
export interface Finding {
  readonly subject: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly message: string;
  readonly repair?: string;
}

export function ok(subject: string, message: string): Finding {
  return { subject, level: 'ok', message };
}

export function warn(subject: string, message: string, repair?: string): Finding {
  return { subject, level: 'warn', message, ...(repair === undefined ? {} : { repair }) };
}

export function fail(subject: string, message: string, repair?: string): Finding {
  return { subject, level: 'fail', message, ...(repair === undefined ? {} : { repair }) };
}

export function findingLines(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  return findings.flatMap(({ subject, level, message, repair }) => [
    `${level.padEnd(4)}  ${subject.padEnd(width)}  ${message}`,
    ...(repair === undefined ? [] : [`      ${' '.repeat(width)}  → ${repair}`]),
  ]);
}
