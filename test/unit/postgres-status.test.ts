import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { ShutdownWatch } from '../../src/drivers/postgres/shutdown-watch.ts';
import { standbyStatus } from '../../src/drivers/postgres/standby-status.ts';
import { StatusReporter } from '../../src/drivers/postgres/status-reporter.ts';
import { lsn } from '../../src/protocol/lsn.ts';

const WALL_MS = 1_700_000_000_000;

/** A reporter under a clock that the test turns. Each status is kept as (write, flush, asks). */
function reporter(everyMs: number): { readonly sent: string[]; readonly it: StatusReporter } {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: WALL_MS });
  const sent: string[] = [];
  const write = (bytes: Buffer): void => {
    sent.push(`${bytes.readBigUInt64BE(6)} ${bytes.readBigUInt64BE(14)} ${bytes.readUInt8(38)}`);
  };
  return { sent, it: new StatusReporter({ write, everyMs, monotonicMs: () => Date.now() }) };
}

test('a status goes out on its timer, whether or not there is anything to tell', () => {
  const { sent, it } = reporter(3000);
  mock.timers.tick(9000);
  it.stop();
  mock.timers.tick(9000);
  assert.deepEqual(sent, ['0 0 0', '0 0 0', '0 0 0']);
  mock.timers.reset();
});

test('progress is told at once, and then at most once a second, with the latest', () => {
  const { sent, it } = reporter(60_000);
  for (let confirmed = 1; confirmed <= 25; confirmed += 1) {
    it.confirm(lsn(confirmed + 5), lsn(confirmed));
    mock.timers.tick(100);
  }
  it.stop();
  assert.deepEqual(sent, ['6 1 0', '15 10 0', '25 20 0']);
  mock.timers.reset();
});

test('what was confirmed never goes back', () => {
  const { sent, it } = reporter(60_000);
  it.confirm(lsn(9), lsn(8));
  it.confirm(lsn(5), lsn(4));
  it.sendNow(true);
  it.stop();
  assert.deepEqual(sent, ['9 8 0', '9 8 1']);
  mock.timers.reset();
});

test('a status is the message of the manual', () => {
  const bytes = standbyStatus({ write: lsn(0x1234), flush: lsn(0x1200), nowMs: 946_684_801_000, replyRequested: true });
  const expected = `64${'00000026'}72${'0000000000001234'}${'0000000000001200'}${'0000000000001200'}${'00000000000f4240'}01`;
  assert.equal(bytes.toString('hex'), expected);
});

test('two requests for a reply in short order, with nothing between, are a shutdown', () => {
  const watch = new ShutdownWatch(1000);
  watch.asked(lsn(50), 0);
  assert.equal(watch.isShuttingDown, false);
  watch.asked(lsn(50), 5);
  assert.equal(watch.isShuttingDown, true);
});

test('requests far apart, of another end, or with a change between, are none', () => {
  const watch = new ShutdownWatch(1000);
  watch.asked(lsn(50), 0);
  watch.asked(lsn(50), 5000);
  assert.equal(watch.isShuttingDown, false);
  watch.asked(lsn(60), 5001);
  assert.equal(watch.isShuttingDown, false);
  watch.change();
  watch.asked(lsn(60), 5002);
  assert.equal(watch.isShuttingDown, false);
  watch.asked(lsn(60), 5003);
  watch.change();
  assert.equal(watch.isShuttingDown, false);
});
