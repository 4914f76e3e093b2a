import { readFileSync } from 'node:fs';
import { type Ask, ask, type RedisConnection } from './connection.ts';

const NAMES = [
  'apply',
  'begin-epoch',
  'enlist',
  'identity',
  'take',
  'beat',
  'release',
  'settle-replica',
  'sweep',
  'clear-sweeps',
  'clear-refresh',
  'read',
  'lease',
  'lease-to-write',
  'store',
  'give-up',
  'pulse',
  'gate-cold',
  'gate-cells',
  'gate-report',
  'hot-append',
  'hot-take',
  'buffer-append',
  'buffer-remove',
  'buffer-depth',
] as const;

export type ScriptName = (typeof NAMES)[number];
export type ScriptArgument = string | number | Uint8Array;
export type RunScript = (
  name: ScriptName,
  keys: readonly string[],
  args: readonly ScriptArgument[],
) => Promise<unknown>;

type Command = (keyCount: number, ...rest: readonly (string | number | Buffer)[]) => Promise<unknown>;

/** The scripts of a connection. `form`: texts in answers are UTF-8, or a character each byte (byte-text.ts). ioredis sends the hash, and the text where the server does not know it. */
export function scriptsOf(redis: RedisConnection, asks: Ask = ask, form: 'utf8' | 'bytes' = 'utf8'): RunScript {
  const commands = redis as unknown as Record<string, Command>;
  if (commands[commandOf('read')] === undefined)
    for (const name of NAMES) redis.defineCommand(commandOf(name), { lua: scriptText(name) });
  return (name, keys, args) => {
    const command = commands[form === 'utf8' ? commandOf(name) : `${commandOf(name)}Buffer`];
    if (command === undefined) throw new Error(`The script ${name} is not defined.`);
    const plain = args.map((arg) =>
      arg instanceof Uint8Array ? Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength) : arg,
    );
    const answer = asks(redis, keys[0] ?? name, command.call(redis, keys.length, ...keys, ...plain));
    return form === 'utf8' ? answer : answer.then(byteTexts);
  };
}

const read = (file: string): string => readFileSync(new URL(`./scripts/${file}.lua`, import.meta.url), 'utf8');

const texts = new Map<ScriptName, string>();

/** A script begins with the line that declares its flags; what all share comes behind that. Read once: every connection has all of them. */
export function scriptText(name: ScriptName): string {
  const known = texts.get(name);
  if (known !== undefined) return known;
  const own = read(name);
  const end = own.indexOf('\n') + 1;
  const text = own.slice(0, end) + read('prelude') + own.slice(end);
  texts.set(name, text);
  return text;
}

function commandOf(name: ScriptName): string {
  return `afterwrite:${name}`;
}

function byteTexts(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(byteTexts);
  return Buffer.isBuffer(answer) ? answer.toString('latin1') : answer;
}
