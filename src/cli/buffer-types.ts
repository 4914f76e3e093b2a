import type { BufferConfig } from '../config/bus-config.ts';
import type { CatalogTable } from '../drivers/postgres/catalog.ts';
import { fields, propertyName } from './family-types.ts';

/** What a column may be given as, by the name of its type, or of a domain's base type. What is not here is given as the text that Postgres reads. */
const GIVEN: Readonly<Record<string, string>> = {
  int2: 'bigint | number | string',
  int4: 'bigint | number | string',
  int8: 'bigint | number | string',
  numeric: 'bigint | number | string',
  float4: 'number | string',
  float8: 'number | string',
  bool: 'boolean',
  bytea: 'Uint8Array | string',
  json: 'object | string',
  jsonb: 'object | string',
  date: 'Date | string',
  timestamp: 'Date | string',
  timestamptz: 'Date | string',
};

/** Of a key no column is an object. */
const KEY_GIVEN = /^(?:int[248]|numeric|float[48]|bool)$/;

const ANY_KEY = 'bigint | boolean | number | string';
const ANY_VALUE = 'bigint | boolean | number | object | string | null';

/** The buffers as entries of an interface. `table` is undefined where a statement writes, or where the database has no such table. */
export function bufferEntries(
  buffers: readonly { readonly config: BufferConfig; readonly table: CatalogTable | undefined }[],
): string {
  return buffers
    .map(({ config: { name, kind, key, columns }, table }) => {
      const column = (of: string) => table?.columns.find((one) => one.name === of);
      const params = key.map((of): [string, string] => {
        const type = column(of)?.baseType;
        return [of, type === undefined ? ANY_KEY : KEY_GIVEN.test(type) ? (GIVEN[type] ?? 'string') : 'string'];
      });
      const row = columns.map((of): [string, string] => {
        const found = column(of);
        if (found === undefined) return [of, ANY_VALUE];
        const type = GIVEN[found.baseType] ?? 'string';
        return [of, found.isNotNull ? type : `${type} | null`];
      });
      const rowText = kind === 'counter' ? '' : `      row: ${fields(row)};\n`;
      return `    ${propertyName(name)}: {\n      kind: '${kind}';\n      params: ${fields(params)};\n${rowText}    };\n`;
    })
    .join('');
}
