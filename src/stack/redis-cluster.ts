import { connect } from 'node:net';
import { BusError } from '../protocol/errors.ts';
import { freePort } from './place.ts';
import { type RedisServer, startRedis } from './redis.ts';

export interface RedisCluster {
  readonly urls: readonly string[];
  /** The masters, each with its part of the slots, in the order of the slots. */
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

export interface RedisClusterOptions {
  /** Masters. Default 3, the fewest that can agree on a failure. */
  readonly masters?: number;
  readonly settings?: Readonly<Record<string, string>>;
}

const SLOTS = 16_384;
const ANSWER_TIMEOUT_MS = 5000;
const JOIN_TIMEOUT_MS = 60_000;

/** Starts a Redis Cluster of masters on this machine. Throws `STACK_UNAVAILABLE` where there is no redis-server program. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    const masters = options.masters ?? 3;
    const busPorts: number[] = [];
    for (let i = 0; i < masters; i++) {
      // The port of the cluster's bus would be the port plus 10,000, which need not be one.
      const busPort = await freePort();
      const cluster = { 'cluster-enabled': 'yes', 'cluster-port': String(busPort), 'cluster-node-timeout': '2000' };
      const node = await startRedis({ settings: { ...cluster, ...options.settings } });
      nodes.push(node);
      busPorts.push(busPort);
      if (node.process === undefined)
        throw new BusError(
          'STACK_UNAVAILABLE',
          'A Redis Cluster takes a redis-server in PATH; containers do not reach each other here.',
        );
    }
    for (const [i, node] of nodes.entries()) {
      const [first, end] = [Math.floor((i * SLOTS) / masters), Math.floor(((i + 1) * SLOTS) / masters)];
      await tell(node.port, `CLUSTER ADDSLOTSRANGE ${first} ${end - 1}`);
      // Nodes that claim one epoch would have to settle it among themselves first.
      await tell(node.port, `CLUSTER SET-CONFIG-EPOCH ${i + 1}`);
    }
    for (const [i, node] of nodes.entries())
      if (i > 0) await tell(nodes[0]?.port ?? 0, `CLUSTER MEET 127.0.0.1 ${node.port} ${busPorts[i]}`);
    await Promise.all(nodes.map((node) => untilJoined(node, masters)));
    return { urls: nodes.map((node) => node.url), nodes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilJoined(node: RedisServer, masters: number): Promise<void> {
  const untilMs = performance.now() + JOIN_TIMEOUT_MS;
  for (;;) {
    const info = await tell(node.port, 'CLUSTER INFO');
    if (info.includes('cluster_state:ok') && info.includes(`cluster_size:${masters}`)) return;
    if (performance.now() > untilMs)
      throw new BusError('STACK_START_FAILED', `A node did not join its Redis Cluster. It said:\n${info}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** One inline command ("Redis serialization protocol specification", Inline commands) and its answer, as text. */
function tell(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\nQUIT\r\n`));
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error(`${command} was not answered.`)));
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    socket.once('error', reject);
    socket.once('close', () => {
      if (!answer.startsWith('-')) return resolve(answer);
      reject(new BusError('STACK_START_FAILED', `${command} was answered ${answer.split('\r\n')[0]}`));
    });
  });
}
