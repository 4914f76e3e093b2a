import { writeFile } from 'node:fs/promises';
import { readSource, sourceText } from '../../client/source-query.ts';
import type { BufferConfig, BusConfig, Family } from '../../config/bus-config.ts';
import { checkCatalog, ruleTables } from '../../config/catalog-check.ts';
import { type CatalogTable, readTables } from '../../drivers/postgres/catalog.ts';
import { connect, type Connection } from '../../drivers/postgres/connection.ts';
import { notNullOrigins } from '../../drivers/postgres/not-null.ts';
import { BusError } from '../../protocol/errors.ts';
import type { KeyType } from '../../protocol/key-parameter.ts';
import { EXIT } from '../exit-code.ts';
import { bufferEntries } from '../buffer-types.ts';
import { type FamilyTypes, familyTypes } from '../family-types.ts';
import { printLines } from '../output.ts';
import { type CommandContext, configOf } from './context.ts';

/** What gives NULL for a column that its table has NOT NULL. A function called left() is taken for one too: that costs only a `| null`. */
const MAY_ADD_NULLS = /\b(?:left|right|full|rollup|cube|grouping)\b/i;

/** `afterwrite config types`: TypeScript types of the families and buffers, from the file and the database's catalog. */
export async function configTypesCommand(context: CommandContext, file: string | undefined): Promise<number> {
  const config = await configOf(context);
  const sql = await connect(config.source.url, {
    applicationName: `afterwrite-types-${config.bus}`,
    findsUserNames: true,
  });
  let text: string;
  try {
    text = familyTypes(await readTypes(config, sql), bufferEntries(await readBufferTables(config, sql)));
  } finally {
    await sql.close();
  }
  if (file === undefined) context.output.out.write(text);
  else {
    await writeFile(file, text);
    printLines(context.output.out, [
      `${file}: the types of ${config.families.size} families and ${config.buffers.size} buffers`,
    ]);
  }
  return EXIT.ok;
}

async function readTypes(config: BusConfig, sql: Connection): Promise<FamilyTypes[]> {
  const { parameterTypes } = checkCatalog(config, await readTables(sql, ruleTables(config)));
  const found: FamilyTypes[] = [];
  for (const family of config.families.values()) {
    const types = parameterTypes.get(family.name) ?? [];
    const params = family.key.parameters.map((name, i) => ({ name, type: types[i] }));
    found.push({ name: family.name, params, isList: family.isList, columns: await columnsOf(family, params, sql) });
  }
  return found;
}

async function readBufferTables(
  { buffers }: BusConfig,
  sql: Connection,
): Promise<{ readonly config: BufferConfig; readonly table: CatalogTable | undefined }[]> {
  const targets = [...buffers.values()].flatMap(({ target }) => (target.kind === 'table' ? [target.table] : []));
  const tables = await readTables(sql, targets);
  return [...buffers.values()].map((config) => {
    const { target } = config;
    const table = target.kind === 'table' ? tables.get(`${target.table.schema}.${target.table.name}`) : undefined;
    return { config, table };
  });
}

async function columnsOf(
  { name, source }: Family,
  params: readonly { readonly name: string; readonly type: KeyType | undefined }[],
  sql: Connection,
): Promise<FamilyTypes['columns']> {
  if (source === undefined) return undefined;
  const known = new Map(params.flatMap((one): [string, KeyType][] => (one.type ? [[one.name, one.type]] : [])));
  const { text, names } = sourceText(readSource(name, source), known);
  const columns = await sql.describe(text, names.length).catch((error: unknown) => {
    if (!(error instanceof BusError) || error.code === 'POSTGRES_UNREACHABLE') throw error;
    throw new BusError('SOURCE_INVALID', `Postgres refuses the source of family "${name}": ${error.message}`, {
      at: `families.${name}.source`,
      cause: error,
    });
  });
  const notNull = MAY_ADD_NULLS.test(source) ? new Set() : await notNullOrigins(sql, columns);
  return columns.map((column) => ({
    name: column.name,
    typeOid: column.typeOid,
    isNullable: !notNull.has(column),
  }));
}
