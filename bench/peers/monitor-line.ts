/** What a client sends to set itself up, and the watching itself: no part of any figure. */
const SET_UP = new Set([
  'auth',
  'client',
  'command',
  'config',
  'hello',
  'info',
  'monitor',
  'ping',
  'psubscribe',
  'readonly',
  'select',
  'subscribe',
]);

const NONE: ReadonlySet<string> = new Set();

/**
 * The command of a line of MONITOR, if it counts: one that a client sent, and not to set itself up. What a script does inside the server is
 * marked `lua` in place of the client's address, and is part of the one command that ran it. `ignored` are addresses of clients.
 *
 *     1339518083.107412 [0 127.0.0.1:60866] "get" "x"
 *     1339518083.107412 [0 lua] "get" "x"
 */
export function commandOf(line: string, ignored: ReadonlySet<string> = NONE): string | undefined {
  const match = /^\+?\d+\.\d+ \[\d+ (?<client>[^\]]+)\] "(?<command>[^"]*)"/u.exec(line);
  const command = match?.groups?.['command']?.toLowerCase();
  const client = match?.groups?.['client'] ?? '';
  if (command === undefined || client === 'lua' || ignored.has(client) || SET_UP.has(command)) return undefined;
  return command;
}
