import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { EXIT, exitCodeOf } from '../../src/cli/exit-code.ts';
import { printError, printJson, printLines, tableOf } from '../../src/cli/output.ts';
import { BusError, ERRORS, type ErrorCode } from '../../src/protocol/errors.ts';

function printed(print: (to: PassThrough) => void): string {
  const to = new PassThrough();
  print(to);
  return String(to.read() ?? '');
}

test('what must be mended before anything can run exits 2, and what went wrong exits 1', () => {
  const codes = (Object.keys(ERRORS) as ErrorCode[]).filter(
    (code) => exitCodeOf(new BusError(code, '')) === EXIT.usage,
  );
  assert.deepEqual(codes, ['CONFIG_INVALID', 'SETTING_INVALID', 'KEY_PARAMETER_INVALID', 'STACK_UNAVAILABLE']);
  assert.equal(exitCodeOf(new BusError('REDIS_UNREACHABLE', '')), 1);
  assert.equal(exitCodeOf(new TypeError('a fault of ours')), 1);
});

test('an error is printed with code, place, words and hint', () => {
  const error = new BusError('REDIS_UNREACHABLE', 'Redis does not answer.', { at: 'redis://eu:6379' });
  assert.equal(
    printed((to) => printError(to, error)),
    `REDIS_UNREACHABLE (redis://eu:6379): Redis does not answer.\n  ${ERRORS.REDIS_UNREACHABLE.hint}\n`,
  );
});

test('no password is printed, whichever part of an error it stands in', () => {
  const url = 'redis://app:s3cret@eu:6379';
  const text = printed((to) => {
    printError(to, new BusError('REDIS_DENIED', `refused by ${url}`, { at: url }));
    printError(to, new Error(`refused by ${url}`));
    printError(to, url);
  });
  assert.doesNotMatch(text, /s3cret/);
  assert.equal(text.match(/app:\*\*\*@eu/g)?.length, text.match(/@eu/g)?.length);
});

test('JSON is one object on one line, with 64-bit numbers as text', () => {
  assert.equal(
    printed((to) => printJson(to, { lsn: 2n ** 63n, lines: ['a\nb'] })),
    '{"lsn":"9223372036854775808","lines":["a\\nb"]}\n',
  );
});

test('no lines print nothing', () => {
  assert.equal(
    printed((to) => printLines(to, [])),
    '',
  );
});

test('columns are as wide as their widest cell, and no line ends in blanks', () => {
  assert.deepEqual(tableOf(['region', 'lag'], [['eu', '1 ms'], ['us-east-1']]), [
    'region     lag',
    'eu         1 ms',
    'us-east-1',
  ]);
});
