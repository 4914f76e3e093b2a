/**
 * The shape of a key or a tag: literal text with `{parameters}` between. Parameters are printed by `printKeyParameter`, which
 * escapes every ASCII character that may stand between two of them: so two different sets of values never print one key.
 */
export interface KeyTemplate {
  readonly text: string;
  readonly literals: readonly string[];
  /** In the order of their places; each name once. */
  readonly parameters: readonly string[];
}

export type TemplateResult =
  | { readonly kind: 'template'; readonly template: KeyTemplate }
  | { readonly kind: 'fault'; readonly fault: string };

const PARAMETER = /\{([^{}]*)\}/g;
const NAME = /^[a-z_][a-z0-9_]*$/i;
/** What `printKeyParameter` always escapes; a literal between two parameters needs one of these to keep them apart. */
const SEPARATOR = /[!"#$&'()*,/:;<=>?[\]^`|\\]/;
const LITERAL = /^[!-z|~]*$/;

export function parseKeyTemplate(text: string): TemplateResult {
  const literals: string[] = [];
  const parameters: string[] = [];
  let end = 0;
  for (const match of text.matchAll(PARAMETER)) {
    const name = match[1] ?? '';
    if (!NAME.test(name))
      return fault(`"{${name}}" is not a parameter: a name of letters, digits and underscores is expected in braces`);
    if (parameters.includes(name)) return fault(`parameter "{${name}}" stands twice; once is enough`);
    literals.push(text.slice(end, match.index));
    parameters.push(name);
    end = match.index + match[0].length;
  }
  literals.push(text.slice(end));
  if (text === '') return fault('the template is empty');
  if (literals.some((literal) => /[{}]/.test(literal))) return fault('a brace is not closed, or not opened');
  if (literals.some((literal) => !LITERAL.test(literal) || literal.includes('%'))) {
    return fault('the text between parameters may hold printable ASCII only, without spaces and "%"');
  }
  const unclear = literals.slice(1, -1).findIndex((literal) => !SEPARATOR.test(literal));
  if (unclear >= 0) {
    return fault(
      `"{${parameters[unclear]}}" and "{${parameters[unclear + 1]}}" need a separator such as ":" between them, or two keys could print alike`,
    );
  }
  return { kind: 'template', template: { text, literals, parameters } };
}

function fault(text: string): TemplateResult {
  return { kind: 'fault', fault: text };
}

/** Joins literals and printed parameters, which stand in the order of `template.parameters`. */
export function printKey(template: KeyTemplate, printed: readonly string[]): string {
  let key = template.literals[0] ?? '';
  for (let i = 0; i < printed.length; i++) key += `${printed[i]}${template.literals[i + 1]}`;
  return key;
}

/** A Redis glob (SCAN MATCH) that finds every key of the template. It may find more: the caller compares. */
export function globOf(template: KeyTemplate): string {
  return template.literals.map((literal) => literal.replace(/[*?[\]\\^]/g, '\\$&')).join('*');
}

/** What `printKeyParameter` prints: a character that it leaves, or one that it escapes. A lone surrogate is never printed. */
const PRINTED =
  '(?:[A-Za-z0-9\\-_.~@+\\u0080-\\ud7ff\\ue000-\\u{10ffff}]|%(?:[01][0-9A-F]|2[0-9ACF]|3[A-F]|5[BCDE]|60|7[BCDF]))*';

/** A test for the template's own keys: it finds what can be printed, and nothing else, since a parameter prints no separator. */
export function matcherOf(template: KeyTemplate): (key: string) => boolean {
  const pattern = template.literals.map(escapedLiteral).join(PRINTED);
  const regex = new RegExp(`^${pattern}$`, 'u');
  return (key) => regex.test(key);
}

/** Takes a key of the template apart: each parameter's canonical text. Undefined where the key is none of the template's. */
export function parserOf(template: KeyTemplate): (key: string) => Readonly<Record<string, string>> | undefined {
  const pattern = template.literals.map(escapedLiteral).join(`(${PRINTED})`);
  const regex = new RegExp(`^${pattern}$`, 'u');
  return (key) => {
    const match = regex.exec(key);
    if (match === null) return undefined;
    return Object.fromEntries(template.parameters.map((name, i) => [name, decodeURIComponent(match[i + 1] ?? '')]));
  };
}

function escapedLiteral(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
