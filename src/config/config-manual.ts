import { DURATION, DURATION_OR_ZERO } from './duration.ts';
import { fileJsonSchema } from './file-schema.ts';
import { SIZE } from './size.ts';
import { SHARE } from './share.ts';

interface Json {
  readonly type?: string;
  readonly description?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly const?: unknown;
  readonly anyOf?: readonly Json[];
  readonly items?: Json;
  readonly properties?: Readonly<Record<string, Json>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Json | boolean;
}

const INTRODUCTION = `# The file afterwrite.yaml

<!-- Written by \`node scripts/write-manual.js\` from the schema in src/config: change it there. -->

One file says what is cached and what makes it old. [examples/shop/afterwrite.yaml](../examples/shop/afterwrite.yaml) is a whole one, with its reasons.
\`afterwrite config check\` names everything that is wrong at once, each with its line and with what would be right, and holds the file against the
database where that can be reached; \`afterwrite config show\` prints it as it was understood, without secrets.

**Editors** complete and check the file by its JSON Schema: \`afterwrite config schema > afterwrite.schema.json\`, and as the first line of the file
\`# yaml-language-server: $schema=afterwrite.schema.json\`.

**Variables.** \`\${NAME}\` in a value is taken from the environment; one that is not set, or empty, is a fault. \`$\${\` stands for \`\${\`. Names of keys take
none. Inside of \`{ }\` and \`[ ]\` other programs that read YAML want quotes around it: \`{ url: "\${PG_URL}" }\`.

**Durations** have a unit: \`250ms\`, \`30s\`, \`5m\`, \`72h\`, \`1d\`.

**Templates.** \`org:{org_id}:members\` is text with parameters. Between two parameters stands a separator such as \`:\`, which never occurs in a printed
parameter (it is escaped there), so two different entries never have one key. Columns of these types can be printed: text, varchar, smallint, integer,
bigint, uuid, boolean, date.

**Several files**, one a team, may be given: \`--config a.yaml --config b.yaml\`. Families, tags and buffers are joined; any other section stands in one of them.
`;

/** The reference of the user's file, docs/CONFIG.md. */
export function configManual(): string {
  return [INTRODUCTION, ...sectionsOf(fileJsonSchema(), '')].join('\n');
}

function sectionsOf(json: Json, path: string): string[] {
  const fields = Object.entries(json.properties ?? {});
  if (fields.length === 0) return [];
  const rows = fields.map(([name, field]) => {
    const isNeeded = json.required?.includes(name) === true || NEEDED.has(`${path}${name}`);
    return `| \`${name}\`${isNeeded ? ' *' : ''} | ${kindOf(field)} | ${escapeCell(field.description ?? '')} |`;
  });
  const title = path === '' ? '## The file' : `## \`${path.slice(0, -1)}\``;
  const needed = rows.some((row) => row.includes('` *')) ? ['`*` must be there.', ''] : [];
  const own = [title, '', ...needed, '| key | is | meaning |', '|---|---|---|', ...rows, ''].join('\n');
  return [own, ...fields.flatMap(([name, field]) => sectionsOf(...inner(field, `${path}${name}.`)))];
}

/** Sections that a single file may leave to another, but not all of them. */
const NEEDED = new Set(['bus', 'source', 'log', 'regions', 'families']);

/** A map by name is described by what each name holds. */
function inner(field: Json, path: string): [Json, string] {
  const item = field.additionalProperties;
  return typeof item === 'object' && item.properties !== undefined ? [item, `${path}<name>.`] : [field, path];
}

function kindOf(field: Json): string {
  const [first, ...others] = field.anyOf ?? [];
  // The first of a union may itself be one with a variable.
  const plain = first?.anyOf?.[0] ?? first ?? field;
  if (others.some((other) => other.properties !== undefined)) return `${kindOf(plain)}, or map`;
  if (plain.const !== undefined) return `\`${JSON.stringify(plain.const)}\``;
  if (plain.enum !== undefined) return plain.enum.map((one) => `\`${one}\``).join(', ');
  if (plain.type === 'integer' || plain.type === 'number')
    return `number, ${plain.minimum} to ${plain.maximum?.toLocaleString('en')}`;
  if (plain.type === 'boolean') return '`true`, `false`';
  if (plain.items !== undefined) return `list of ${kindOf(plain.items)}s`;
  if (plain.type === 'object') return plain.properties === undefined ? 'map by name' : 'map';
  return textKind(plain.pattern ?? '');
}

function textKind(pattern: string): string {
  if (pattern === DURATION.source) return 'duration';
  if (pattern === DURATION_OR_ZERO.source) return 'duration, or `0`';
  if (pattern === SIZE.source) return 'size';
  if (pattern === SHARE.source) return 'share';
  return pattern.includes(':\\/\\/') ? 'URL' : 'text';
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}
