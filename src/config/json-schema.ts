import { z } from 'zod';

/** What an editor sees in place of a value that comes from the environment. */
const VARIABLE = { type: 'string', pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}' } as const;

type Json = Record<string, unknown>;

/**
 * The JSON Schema (draft 2020-12) of a zod schema. An editor sees the file before the environment is put into it, so `${NAME}` is right wherever
 * a text of a given form, a number, or true and false are; in names of things it is not.
 */
export function jsonSchemaOf(schema: z.ZodType, title: string): Json {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io: 'input',
    override: ({ jsonSchema }) => allowVariable(jsonSchema as Json),
  }) as Json;
  return { $schema, title, ...rest };
}

function allowVariable(json: Json): void {
  const names = json['propertyNames'] as Json | undefined;
  if (names?.['anyOf'] !== undefined) json['propertyNames'] = (names['anyOf'] as Json[])[0];
  const given = { ...json };
  delete given['description'];
  const isText = given['type'] === 'string' && (given['pattern'] !== undefined || given['enum'] !== undefined);
  const isSwitch = given['type'] === 'boolean' && given['const'] === undefined;
  if (!isText && !isSwitch && given['type'] !== 'integer') return;
  for (const key of Object.keys(given)) delete json[key];
  json['anyOf'] = [given, { ...VARIABLE }];
}
