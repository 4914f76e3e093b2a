import type { CommandContext } from './context.ts';
export async function statusCommand(_context: CommandContext): Promise<number> {
  return 0;
}
