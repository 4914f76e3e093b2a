import { checkCatalog, ruleTables } from '../../config/catalog-check.ts';
import type { BusConfig } from '../../config/bus-config.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import { BusError } from '../../protocol/errors.ts';
import { matcherOf } from '../../protocol/key-template.ts';
import { lsnFromPostgres, lsnToPostgres } from '../../protocol/lsn.ts';
import { MESSAGE_PREFIX, readApplicationMessage } from '../../relay/application-message.ts';
import { EXIT } from '../exit-code.ts';
import { readAssignments } from '../explain.ts';
import { printJson, printLines } from '../output.ts';
import { type CommandContext, configOf, withSource } from './context.ts';

export type InvalidateTarget =
  | { readonly scope: 'key'; readonly family: string; readonly params: readonly string[] }
  | { readonly scope: 'tag'; readonly tag: string }
  | { readonly scope: 'family'; readonly family: string };

/**
 * `afterwrite invalidate key user id=42`, `tag org:7`, `family user`. A message in Postgres's own log, so it goes the way of every
 * change, to every region, in order with them.
 */
export async function invalidateCommand(context: CommandContext, target: InvalidateTarget): Promise<number> {
  const config = await configOf(context);
  checkTarget(target, config);
  // A database may feed several buses: what the others have is none of this command's business.
  const message = { bus: config.bus, ...messageOf(target) };
  const { lsn, items } = await withSource(config, 'invalidate', async (sql) => {
    const { parameterTypes } = checkCatalog(config, await readTables(sql, ruleTables(config)));
    const meaning = readApplicationMessage(JSON.stringify(message), config, parameterTypes);
    // What the relay would have to widen is a slip of the hand here.
    if (meaning.faults.length > 0) throw new BusError('SETTING_INVALID', meaning.faults.join('; '));
    const [row] = await sql.query<{ lsn: string }>('SELECT pg_logical_emit_message(true, $1, $2)::text AS lsn', [
      MESSAGE_PREFIX,
      JSON.stringify(message),
    ]);
    return { lsn: lsnToPostgres(lsnFromPostgres(row?.lsn ?? '')), items: meaning.items };
  });
  if (context.json) printJson(context.output.out, { lsn, items });
  else printLines(context.output.out, [`Sent at ${lsn}: ${JSON.stringify(items[0])}`]);
  return EXIT.ok;
}

/** A slip of the hand that the log would carry to every region: a parameter that is none, a label that nothing can have. */
function checkTarget(target: InvalidateTarget, { families, tagRules }: BusConfig): void {
  const refuse = (what: string, known: readonly string[]): never => {
    throw new BusError('SETTING_INVALID', `${what} The file has ${known.length === 0 ? 'none' : known.join(', ')}.`);
  };
  if (target.scope === 'tag') {
    const templates = [...[...families.values()].flatMap(({ tags }) => tags), ...tagRules.map(({ tag }) => tag)];
    if (templates.some((template) => matcherOf(template)(target.tag))) return;
    refuse(`No label is written as "${target.tag}".`, [...new Set(templates.map(({ text }) => text))]);
  }
  if (target.scope === 'tag') return;
  const family = families.get(target.family);
  if (family === undefined) return refuse(`"${target.family}" is no family.`, [...families.keys()]);
  if (target.scope === 'family') return;
  const given = Object.keys(readAssignments(target.params));
  const { parameters } = family.key;
  const odd = [
    ...given.filter((name) => !parameters.includes(name)),
    ...parameters.filter((name) => !given.includes(name)),
  ];
  if (odd.length > 0)
    throw new BusError(
      'SETTING_INVALID',
      `A key of family "${family.name}" takes ${parameters.map((name) => `${name}=…`).join(' ')}, and ${given.join(', ')} was given.`,
    );
}

function messageOf(target: InvalidateTarget): Record<string, unknown> {
  if (target.scope === 'tag') return { tags: [target.tag] };
  if (target.scope === 'family') return { families: [target.family] };
  return { keys: [{ family: target.family, params: readAssignments(target.params) }] };
}
