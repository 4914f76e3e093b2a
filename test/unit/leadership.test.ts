import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ELECTION_TIMING } from '../../src/controller/election.ts';
import type { LeaderRecords, RecordWrite } from '../../src/controller/leader-record.ts';
import { Leadership } from '../../src/controller/leadership.ts';
import { FakeClock, quiet } from '../support/fake-clock.ts';

test('a permit counts from when its renewal was sent, however late the answer comes', async () => {
  const clock = new FakeClock();
  let answerMs = 8000;
  let version = 0;
  const answered = async (record: Parameters<LeaderRecords['create']>[0]): Promise<RecordWrite> => {
    await clock.sleep(answerMs, new AbortController().signal);
    return { kind: 'written', stored: { ...record, version: String(++version) } };
  };
  const records: LeaderRecords = { read: () => Promise.resolve(undefined), create: answered, update: answered };
  const observer = { leading: () => undefined, following: () => undefined, electionFailed: () => undefined };
  const parts = { identity: 'a', records, timing: ELECTION_TIMING, clock, random: () => 0, observer };
  const leadership = new Leadership(parts);
  const end = new AbortController();
  const life = leadership.run(end.signal);
  await quiet();
  assert.equal(leadership.permit(), undefined);
  await clock.advance(8000);
  const permit = leadership.permit();
  assert.equal(permit?.remainingMs(), 2000);
  // The next renewal is sent 2 s later, and its answer comes when what it renews has long run out.
  answerMs = 11_000;
  await clock.advance(2000);
  assert.equal(permit?.remainingMs(), 0);
  assert.equal(leadership.permit(), undefined);
  await clock.advance(11_000);
  assert.equal(leadership.permit(), undefined);
  end.abort();
  await clock.advance(20_000);
  await life;
});
