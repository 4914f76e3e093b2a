/** A command for the shell that sets something on a Redis server, now and, as its comment says, for good. A password is asked for, and never shown. */
export function redisRepair(url: string, settings: readonly (readonly [name: string, value: string])[]): string {
  const sets = settings.map(([name, value]) => `${redisCli(url)} CONFIG SET ${name} ${value}`);
  return `${sets.join(' && ')}  # and in its redis.conf`;
}

function redisCli(url: string): string {
  const { protocol, hostname, port, username, password } = new URL(url);
  return [
    `redis-cli -h ${hostname || '127.0.0.1'} -p ${port || '6379'}`,
    ...(protocol === 'rediss:' ? ['--tls'] : []),
    ...(username === '' ? [] : [`--user ${quoted(decodeURIComponent(username))}`]),
    ...(password === '' ? [] : ['--askpass']),
  ].join(' ');
}

/** A command for the shell that sets something on a topic, by the script of Apache's distribution. */
export function topicRepair(brokers: readonly string[], topic: string, setting: string): string {
  return `kafka-configs.sh --bootstrap-server ${brokers.join(',')} --alter --entity-type topics --entity-name ${topic} --add-config ${setting}`;
}

/** Our own commands as they have to be typed here: with the files that this one was given. */
export function withFiles(repair: string, files: readonly string[]): string {
  const options = files.map((file) => ` --config ${quoted(file)}`).join('');
  return repair.replaceAll(/\bafterwrite (setup|relay|flush|status)\b/g, `afterwrite $1${options}`);
}

function quoted(word: string): string {
  return /^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
