import type { Lsn } from '../../src/protocol/lsn.ts';
import type { Branch } from './postgres.ts';
import type { World } from './world.ts';

/** A settled mark is a lower bound of what new snapshots see. */
export function checkSettled(world: World, branch: Branch, settled: Lsn): void {
  if (!branch.isSettled(settled))
    world.fail('I1', `${settled} is published as settled, and a commit below it is not visible`);
}

/** What is confirmed is settled, and delivered to every partition that needs it. */
export function checkConfirmed(world: World, branch: Branch, from: Lsn, to: Lsn): void {
  for (let i = branch.indexOf(from); ; i++) {
    const commit = branch.commits[i];
    if (commit === undefined || commit.lsn >= to) return;
    if (!commit.isVisible) world.fail('I1', `${to} is confirmed, and the commit at ${commit.lsn} is not visible`);
    for (const item of commit.items)
      if ((item.needed & ~item.sent) !== 0)
        world.fail('I1', `${to} is confirmed, and an item of ${commit.lsn} is not in the log`);
  }
}
