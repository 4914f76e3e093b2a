/**
 * The text of a family's `source`: SQL with `{parameters}` of the key between. Braces in quotes and comments mean themselves, as in
 * `'{1,2}'::int[]`.
 */
export interface SourceTemplate {
  /** One more than `parameters`. */
  readonly literals: readonly string[];
  /** In the order of their places; a name may stand again. */
  readonly parameters: readonly string[];
}

export type SourceResult =
  | { readonly kind: 'template'; readonly template: SourceTemplate }
  | { readonly kind: 'fault'; readonly fault: string };

/**
 * What stands in SQL and is not looked into, as Postgres's lexer reads it ("Lexical Structure" of its manual). A dollar that continues a name opens
 * no quote, and backslashes escape in E'' alone: standard_conforming_strings is on in every supported version.
 */
const OPAQUE =
  /--[^\n]*|(?<![\w$\u0080-\uffff])[eE]'(?:[^'\\]|\\[\s\S]|'')*'|(?<!(?<![\w$\u0080-\uffff])[eE])'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![\w$\u0080-\uffff])\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$/y;
const QUOTE_OPENS = /['"]|(?<![\w$\u0080-\uffff])\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const PLACEHOLDER = /\{([A-Za-z_][A-Za-z0-9_]*)\}/y;
const POSITIONAL = /(?<![\w$\u0080-\uffff])\$[0-9]/y;
/** What the places above cannot begin with. */
const PLAIN = /[^-/'"$eE{};]+/y;

export function parseSource(text: string): SourceResult {
  const literals: string[] = [];
  const parameters: string[] = [];
  let [literal, at, hasEnded] = ['', 0, false];
  while (at < text.length) {
    const comment = blockComment(text, at);
    if (comment === '') return fault('a comment is not closed');
    const opaque = comment ?? match(OPAQUE, text, at)?.[0];
    if (opaque !== undefined) {
      const isComment = comment !== undefined || opaque.startsWith('--');
      if (hasEnded && !isComment) return fault('one statement is expected; more follows after ";"');
      literal += opaque;
      at += opaque.length;
      continue;
    }
    const character = text[at] ?? '';
    if (hasEnded && character.trim() !== '' && character !== ';')
      return fault('one statement is expected; more follows after ";"');
    const name = match(PLACEHOLDER, text, at);
    if (name !== undefined) {
      literals.push(literal);
      parameters.push(name[1] ?? '');
      literal = '';
      at += name[0].length;
      continue;
    }
    if (character === '{' || character === '}')
      return fault('a brace that is no {parameter}: a name of letters, digits and underscores is expected in braces');
    if (match(QUOTE_OPENS, text, at) !== undefined) return fault('a quotation is not closed');
    if (match(POSITIONAL, text, at) !== undefined)
      return fault('"$1" and the like are given out by the client: write {parameter}');
    if (character === ';') {
      hasEnded = true;
      at += 1;
      continue;
    }
    const plain = hasEnded ? character : (match(PLAIN, text, at)?.[0] ?? character);
    literal += plain;
    at += plain.length;
  }
  literals.push(literal);
  if (literals.join('').trim() === '') return fault('the source is empty');
  return { kind: 'template', template: { literals, parameters } };
}

/** Comments of this kind nest. Empty where it is not closed. */
function blockComment(text: string, from: number): string | undefined {
  if (!text.startsWith('/*', from)) return undefined;
  let [depth, at] = [1, from + 2];
  while (depth > 0) {
    if (at >= text.length) return '';
    const two = text.slice(at, at + 2);
    depth += two === '/*' ? 1 : two === '*/' ? -1 : 0;
    at += two === '/*' || two === '*/' ? 2 : 1;
  }
  return text.slice(from, at);
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

function fault(text: string): SourceResult {
  return { kind: 'fault', fault: text };
}
