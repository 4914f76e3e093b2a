import type { Sql } from '../../drivers/postgres/connection.ts';
import type { SetupPlan, SetupStep } from './wish.ts';

/**
 * Runs the plan's statements, exactly as they were printed. A step that fails leaves nothing of itself; what stands before it stays, and
 * the next plan begins there. Needs a connection that nobody else uses.
 */
export async function applySetup(
  sql: Sql,
  { steps }: SetupPlan,
  onStep: (step: SetupStep) => void = () => undefined,
): Promise<void> {
  for (const step of steps) {
    onStep(step);
    try {
      for (const statement of step.sql) await sql.query(statement);
    } catch (error) {
      // Outside a transaction the first is a warning; the second takes back what the step had set for itself.
      for (const undo of ['ROLLBACK', 'RESET ALL']) await sql.query(undo).catch(() => undefined);
      throw error;
    }
  }
}
