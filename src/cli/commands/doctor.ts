import type { CommandContext } from './context.ts';
export async function doctorCommand(_context: CommandContext): Promise<number> {
  return 0;
}
