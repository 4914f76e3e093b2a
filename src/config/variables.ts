/**
 * `${NAME}` in the user's file.
 *
 * YAML reads the braces of `{ url: ${PG_URL} }` as a map. So they are exchanged, before it is parsed, for two characters that Unicode reserves for
 * a program's own use; a text stays as long as it was, so every place in it stays where it was.
 */
const OPEN = '\ufdd0';
const CLOSE = '\ufdd1';
const WRITTEN = /\$\{([^\s{}[\]"',]*)\}/g;
const GUARDED = /\$\$\ufdd0([^\ufdd1]*)\ufdd1|\$\ufdd0([^\ufdd1]*)\ufdd1|\$\$\{|\$\{/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function guardVariables(text: string): string {
  return text.replace(/[\ufdd0\ufdd1]/g, '\ufffd').replace(WRITTEN, `$$${OPEN}$1${CLOSE}`);
}

/** The text as it was written. */
export function unguard(text: string): string {
  return text.replaceAll(OPEN, '{').replaceAll(CLOSE, '}');
}

/** Puts the environment into a guarded text. What is put in is not looked at again. */
export function replaceVariables(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  fault: (message: string) => void,
): string {
  return text.replace(GUARDED, (whole, literal: string | undefined, name: string | undefined) => {
    if (literal !== undefined) return `\${${literal}}`;
    if (whole === '$${') return '${';
    if (name === undefined)
      fault('"${" begins a variable that does not end: ${NAME} is expected, or $${ for the two characters');
    else if (!NAME.test(name))
      fault(`"${unguard(whole)}" names no variable: letters, digits and "_" are expected, as in \${PG_URL}`);
    else if (env[name] === undefined || env[name] === '')
      fault(`the environment variable ${name} is not set, or empty`);
    else return env[name];
    return '';
  });
}
