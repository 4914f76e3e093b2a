/**
 * What a column of a `source` is in a cached value. It does not hang on the type parsers of the application's pg, on a session's time zone, or on the
 * process's: a value is the same from the database and from any region's cache, in any process, and the types generated from the file are true of it.
 *
 *     boolean                              true or false
 *     smallint, integer, real, double      a number; NaN and the infinities as text, for which JSON has no number
 *     json, jsonb                          what it says
 *     date, timestamp                      as ISO 8601 writes them: 2026-02-28, 2026-02-28T12:00:00.123456
 *     timestamp with time zone             in UTC, to the millisecond: 2026-02-28T12:00:00.123Z
 *     an array of these, or of texts       an array
 *     anything else                        the text that Postgres prints: bigint and numeric keep every digit, bytea is \x…
 */
export type ColumnKind = 'boolean' | 'integer' | 'float' | 'json' | 'timestamp' | 'instant' | 'text';

/** A column's type by its OID (pg_type.dat: fixed for ever). What is not named is a text. */
export interface ColumnType {
  readonly kind: ColumnKind;
  readonly isArray: boolean;
}

/** [type, its array]. */
const OIDS: Readonly<Record<Exclude<ColumnKind, 'text'>, readonly (readonly [number, number])[]>> = {
  boolean: [[16, 1000]],
  integer: [
    [21, 1005], // int2
    [23, 1007], // int4
  ],
  float: [
    [700, 1021], // float4
    [701, 1022], // float8
  ],
  json: [
    [114, 199],
    [3802, 3807], // jsonb
  ],
  timestamp: [[1114, 1115]],
  instant: [[1184, 1185]], // timestamptz
};

/** Arrays of types whose elements are texts. An array of another type, such as an enum, is one text. */
const TEXT_ARRAYS = [
  1009, // text
  1015, // varchar
  1014, // bpchar
  1003, // name
  1016, // int8
  1231, // numeric
  2951, // uuid
  1182, // date
  1001, // bytea
];

const TEXT: ColumnType = { kind: 'text', isArray: false };

const TYPES: ReadonlyMap<number, ColumnType> = new Map([
  ...Object.entries(OIDS).flatMap(([kind, pairs]) =>
    pairs.flatMap(([one, many]): [number, ColumnType][] => [
      [one, { kind: kind as ColumnKind, isArray: false }],
      [many, { kind: kind as ColumnKind, isArray: true }],
    ]),
  ),
  ...TEXT_ARRAYS.map((oid): [number, ColumnType] => [oid, { kind: 'text', isArray: true }]),
]);

export function columnTypeOf(typeOid: number): ColumnType {
  return TYPES.get(typeOid) ?? TEXT;
}

/** What JSON has a form for, and carries back equal. */
export type ColumnValue =
  | string
  | number
  | boolean
  | null
  | readonly ColumnValue[]
  | { readonly [key: string]: unknown };

/** Reads a column that is not NULL from the text that Postgres prints. */
export function readColumn(typeOid: number, text: string): ColumnValue {
  const { kind, isArray } = columnTypeOf(typeOid);
  return isArray ? readArray(text, READERS[kind]) : READERS[kind](text);
}

const READERS: Readonly<Record<ColumnKind, (text: string) => ColumnValue>> = {
  boolean: (text) => text === 't',
  integer: Number,
  float: readFloat,
  json: readJson,
  timestamp: (text) => text.replace(' ', 'T'),
  instant: readInstant,
  text: (text) => text,
};

function readFloat(text: string): ColumnValue {
  const number = Number(text);
  // -0 would come back from JSON as 0.
  return Number.isFinite(number) ? number + 0 : text;
}

/** A number beyond a double's range is read as infinite, for which JSON has no form: it becomes null, as it would in the cache. */
const BEYOND_DOUBLE = /-0|[0-9]{300}|[eE]\+?[0-9]{3}/;

function readJson(text: string): ColumnValue {
  const value = JSON.parse(text) as ColumnValue;
  return BEYOND_DOUBLE.test(text) ? (JSON.parse(JSON.stringify(value)) as ColumnValue) : value;
}

/** As `DateStyle = ISO` prints: `2026-02-28 12:00:00.123456+02`. */
const INSTANT = /^([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9:]{8})(\.[0-9]{1,6})?([+-][0-9]{2})(:[0-9]{2})?(?::[0-9]{2})?$/;

/** Beyond four digits of year, before Christ, and where a session prints another style, the text stays. */
function readInstant(text: string): ColumnValue {
  const [, date, time, fraction = '', hours, minutes = ':00'] = INSTANT.exec(text) ?? [];
  if (date === undefined) return text;
  return new Date(`${date}T${time}${fraction.slice(0, 4)}${hours}${minutes}`).toISOString();
}

/** Reads `{a,"b c",NULL,{…}}`; what stands before an `=`, as in `[2:3]={a,b}`, are bounds that a JavaScript array has not. */
function readArray(text: string, read: (element: string) => ColumnValue): ColumnValue {
  const body = text.slice(text.indexOf('{'));
  let at = 1;
  const list = (): ColumnValue[] => {
    const elements: ColumnValue[] = [];
    for (; at < body.length; at += 1) {
      const character = body[at];
      if (character === '}') break;
      if (character === ',') continue;
      if (character === '{') {
        at += 1;
        elements.push(list());
      } else if (character === '"') elements.push(read(quoted()));
      else {
        const from = at;
        while (body[at + 1] !== ',' && body[at + 1] !== '}' && at + 1 < body.length) at += 1;
        const element = body.slice(from, at + 1);
        elements.push(element === 'NULL' ? null : read(element));
      }
    }
    return elements;
  };
  const quoted = (): string => {
    let element = '';
    for (at += 1; at < body.length && body[at] !== '"'; at += 1)
      element += body[at] === '\\' ? body[(at += 1)] : body[at];
    return element;
  };
  return list();
}
