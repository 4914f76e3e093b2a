// The manual's page of errors, made from their table.
import { ERRORS } from '../src/protocol/errors.ts';

const DIRECTIVES = {
  retry: 'the same step is tried again, with back-off',
  reset: 'the attempt ends, and a new one starts from what is stored',
  operator: 'nothing goes on until a person acts',
  never: 'the request itself is wrong',
};

export function errorsPage() {
  const lines = ['# Errors', '', 'Every error has a code. What the program does about it by itself:', ''];
  for (const [directive, meaning] of Object.entries(DIRECTIVES)) lines.push(`- \`${directive}\`: ${meaning}.`);
  for (const [code, { retry, summary, hint }] of Object.entries(ERRORS).toSorted(([a], [b]) => a.localeCompare(b))) {
    lines.push('', `## ${code}`, '', summary, '', `\`${retry}\`. ${hint}`);
  }
  return `${lines.join('\n')}\n`;
}
