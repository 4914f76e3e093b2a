import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { addController, type ControllerOptions } from '../../src/cli/commands/controller.ts';
import { readWarmupOptions } from '../../src/cli/warmup/options.ts';

async function shardsOf(text: string): Promise<number> {
  const program = new Command('afterwrite').exitOverride().configureOutput({ writeErr: () => undefined });
  let options: ControllerOptions | undefined;
  addController(program, async (given) => void (options = given));
  await program.parseAsync(['node', 'afterwrite', 'controller', '--template', 'job.yaml', '--shards', text]);
  assert.ok(options !== undefined);
  return options.shards;
}

test('the controller makes no more shards than a warm-up takes', async () => {
  const most = await shardsOf('9999');
  const flags = (of: number) => ({ region: 'eu', mode: 'eager', shard: `of/${of}` }) as const;
  const env = { JOB_COMPLETION_INDEX: String(most - 1) };
  assert.deepEqual(readWarmupOptions(flags(most), ['eu'], env, false).shard, { shard: most - 1, of: most });
  assert.throws(() => readWarmupOptions(flags(most + 1), ['eu'], env, false), { code: 'SETTING_INVALID' });
  for (const text of [String(most + 1), '0', '1.5', 'two']) await assert.rejects(shardsOf(text), /whole number/);
});
