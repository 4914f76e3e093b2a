import { readTable } from '../../config/rules.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import { BusError } from '../../protocol/errors.ts';
import { EXIT } from '../exit-code.ts';
import { explain, explanationLines, readAssignments, type RowOperation } from '../explain.ts';
import { printJson, printLines } from '../output.ts';
import { type CommandContext, configOf, withSource } from './context.ts';

export interface ExplainOptions {
  readonly table: string;
  readonly row: readonly string[];
  readonly set: readonly string[];
  readonly op: RowOperation;
}

/** `afterwrite explain users id=42 org_id=1 --set org_id=2`. */
export async function explainCommand(context: CommandContext, options: ExplainOptions): Promise<number> {
  const config = await configOf(context);
  const name = readTable(options.table);
  if (name === undefined)
    throw new BusError('SETTING_INVALID', `"${options.table}" is no table: a name is expected, or schema.name.`);
  const tables = await withSource(config, 'explain', (sql) => readTables(sql, [name]));
  const table = tables.get(`${name.schema}.${name.name}`);
  if (table === undefined)
    throw new BusError('SETTING_INVALID', `The table ${name.schema}.${name.name} does not exist in the database.`);
  const explanation = explain(config, table, {
    operation: options.op,
    row: readAssignments(options.row),
    set: readAssignments(options.set),
  });
  if (context.json) printJson(context.output.out, explanation);
  else printLines(context.output.out, explanationLines(explanation));
  return EXIT.ok;
}
