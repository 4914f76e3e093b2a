import { checkCatalog, ruleTables, type CatalogFault } from '../../config/catalog-check.ts';
import { printFault } from '../../config/fault.ts';
import { fileJsonSchema } from '../../config/file-schema.ts';
import { readConfig } from '../../config/load-config.ts';
import { redacted } from '../../config/redacted.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import { isBusError } from '../../protocol/errors.ts';
import { EXIT } from '../exit-code.ts';
import { printJson, printLines } from '../output.ts';
import { type CommandContext, configOf, withSource } from './context.ts';

/** `afterwrite config check`: the file, and, where it can be reached, the database's catalog. */
export async function configCheckCommand(context: CommandContext): Promise<number> {
  const { out } = context.output;
  const result = await readConfig(context.configPaths, process.env);
  const lines = result.warnings.map((one) => `warning: ${printFault(one)}`);
  let faults: string[] = [];
  let catalog = 'not asked';
  if (result.kind === 'faults') faults = result.faults.map(printFault);
  else {
    const verdict = await withSource(result.config, 'check', async (sql) =>
      checkCatalog(result.config, await readTables(sql, ruleTables(result.config))),
    ).catch((error: unknown) => {
      if (!isBusError(error, 'POSTGRES_UNREACHABLE')) throw error;
      return undefined;
    });
    catalog = verdict === undefined ? 'not reachable' : 'checked';
    faults = (verdict?.faults ?? []).map(catalogLine);
    lines.push(...(verdict?.warnings ?? []).map((one) => `warning: ${catalogLine(one)}`));
  }
  const ok = faults.length === 0;
  if (context.json) printJson(out, { ok, catalog, faults, warnings: lines });
  else
    printLines(out, [
      ...faults,
      ...lines,
      ok
        ? `The file is right. The database's catalog was ${catalog}.`
        : `${faults.length} fault${faults.length === 1 ? '' : 's'}.`,
    ]);
  return ok ? EXIT.ok : EXIT.usage;
}

function catalogLine({ path, message, repair }: CatalogFault): string {
  return `${path}: ${message}${repair === undefined ? '' : `\n    ${repair};`}`;
}

/** `afterwrite config schema`: the JSON Schema, for editors. */
export function configSchemaCommand({ output }: CommandContext): number {
  output.out.write(`${JSON.stringify(fileJsonSchema(), null, 2)}\n`);
  return EXIT.ok;
}

/** `afterwrite config show`: the file as it was understood, without secrets. */
export async function configShowCommand(context: CommandContext): Promise<number> {
  context.output.out.write(`${JSON.stringify(redacted(await configOf(context)), null, 2)}\n`);
  return EXIT.ok;
}
