import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** A relay of bytes to a real server, of which either direction can be swallowed: "done, but you were never told". */
export interface TcpProxy {
  readonly port: number;
  /** From now on, bytes from the client do not reach the server, on every connection. */
  swallowRequests(): void;
  /** Swallows nothing any more. */
  pass(): void;
  /** From the first request on that holds the text, nothing from the server reaches the client, on every connection. */
  swallowRepliesFrom(text: string): void;
  /** From now on, what the server sends on connections that have sent the text, or will, is kept back until `letGo`. */
  keepBack(text: string): void;
  letGo(): void;
  /** Whether something that is kept back holds the text. */
  keeps(text: string): boolean;
  /** Cuts every connection and leads new ones to another server. */
  retarget(target: { readonly host: string; readonly port: number }): Promise<void>;
  /** Bytes swallowed so far, of both directions. */
  readonly swallowed: number;
  close(): Promise<void>;
}

/** A connection says who it is at its beginning. */
const SAID_MAX = 4096;

export async function startTcpProxy(first: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  let target = first;
  const sockets = new Set<Socket>();
  let swallow: 'nothing' | 'requests' | 'replies' = 'nothing';
  let swallowed = 0;
  let trigger: string | undefined;
  let keptText: string | undefined;
  const keepers = new Set<{ readonly kept: Buffer[]; readonly client: Socket }>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
    }
    let said = '';
    const kept: Buffer[] = [];
    const keeper = { kept, client };
    keepers.add(keeper);
    client.on('data', (bytes) => {
      if (said.length < SAID_MAX) said += bytes.toString('latin1');
      if (trigger !== undefined && bytes.includes(trigger)) swallow = 'replies';
      if (swallow === 'requests') swallowed += bytes.length;
      else upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (keptText !== undefined && said.includes(keptText)) kept.push(bytes);
      else if (swallow === 'replies') swallowed += bytes.length;
      else client.write(bytes);
    });
    // The end of what the client says is swallowed too: nobody hangs up in return.
    client.on('end', () => {
      if (swallow !== 'requests') client.end();
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => {
      client.destroy();
      keepers.delete(keeper);
      sockets.delete(client);
      sockets.delete(upstream);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    swallowRequests: () => (swallow = 'requests'),
    pass: () => (swallow = 'nothing'),
    swallowRepliesFrom: (text) => (trigger = text),
    keepBack: (text) => (keptText = text),
    letGo: () => {
      keptText = undefined;
      for (const { kept, client } of keepers) for (const bytes of kept.splice(0)) client.write(bytes);
    },
    keeps: (text) => [...keepers].some(({ kept }) => Buffer.concat(kept).includes(text)),
    retarget: (next) => {
      target = next;
      cut();
      return Promise.resolve();
    },
    get swallowed() {
      return swallowed;
    },
    close: async () => {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
