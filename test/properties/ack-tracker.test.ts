import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Lsn, lsn, lsnMax, lsnMin } from '../../src/protocol/lsn.ts';
import { AckTracker } from '../../src/relay/ack-tracker.ts';

type Step = { readonly partition: number; readonly to: number } | { readonly settled: number };

const PARTITIONS = 3;
const steps = fc.array(
  fc.oneof(
    fc.record({ partition: fc.nat(PARTITIONS - 1), to: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ settled: fc.integer({ min: 0, max: 50 }) }),
  ),
  { maxLength: 40 },
);

type Tracker = Pick<AckTracker, 'confirmable' | 'acknowledge' | 'settle'>;

/** Method: take random acknowledgements and settled marks, and after each compare with the definition, written out plainly. */
function checkAgainstDefinition(create: (start: Lsn) => Tracker): void {
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 20 }), (list: Step[], start) => {
      const tracker = create(lsn(start));
      for (let done = 0; done <= list.length; done++) {
        const step = list[done - 1];
        if (step !== undefined && 'settled' in step) tracker.settle(lsn(step.settled));
        else if (step !== undefined) tracker.acknowledge(step.partition, lsn(step.to));
        const past = list.slice(0, done);
        const settled = Math.max(0, ...past.map((s) => ('settled' in s ? s.settled : 0)));
        const acknowledged = [0, 1, 2].map((p) =>
          Math.max(start, ...past.map((s) => ('to' in s && s.partition === p ? s.to : 0))),
        );
        assert.equal(tracker.confirmable, lsn(Math.max(start, Math.min(settled, ...acknowledged))));
      }
    }),
  );
}

test('confirms no LSN before every partition has acknowledged a record that ends there, nor beyond the settled mark', () => {
  checkAgainstDefinition((start) => new AckTracker(PARTITIONS, start));
});

test('the property sees a tracker that takes one partition for all, or forgets the settled mark', () => {
  class Faulty implements Tracker {
    #acknowledged: Lsn;
    #settled: Lsn = lsn(0);
    readonly #start: Lsn;
    readonly #fault: 'one partition' | 'unsettled';
    constructor(start: Lsn, fault: 'one partition' | 'unsettled') {
      this.#acknowledged = start;
      this.#start = start;
      this.#fault = fault;
    }
    get confirmable(): Lsn {
      const bound = this.#fault === 'unsettled' ? this.#acknowledged : lsnMin(this.#acknowledged, this.#settled);
      return lsnMax(this.#start, bound);
    }
    acknowledge(partition: number, to: Lsn): void {
      if (partition === 0 || this.#fault === 'one partition') this.#acknowledged = lsnMax(this.#acknowledged, to);
    }
    settle(settled: Lsn): void {
      this.#settled = lsnMax(this.#settled, settled);
    }
  }
  assert.throws(() => checkAgainstDefinition((start) => new Faulty(start, 'one partition')));
  assert.throws(() => checkAgainstDefinition((start) => new Faulty(start, 'unsettled')));
});
