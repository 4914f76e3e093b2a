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
  /** Cuts every connection and leads new ones to another server. */
  retarget(target: { readonly host: string; readonly port: number }): Promise<void>;
  /** Bytes swallowed so far, of both directions. */
  readonly swallowed: number;
  close(): Promise<void>;
}

export async function startTcpProxy(first: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  let target = first;
  const sockets = new Set<Socket>();
  let swallow: 'nothing' | 'requests' | 'replies' = 'nothing';
  let swallowed = 0;
  let trigger: string | undefined;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
    }
    client.on('data', (bytes) => {
      if (trigger !== undefined && bytes.includes(trigger)) swallow = 'replies';
      if (swallow === 'requests') swallowed += bytes.length;
      else upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (swallow === 'replies') swallowed += bytes.length;
      else client.write(bytes);
    });
    // The end of what the client says is swallowed too: nobody hangs up in return.
    client.on('end', () => {
      if (swallow !== 'requests') client.end();
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => {
      client.destroy();
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
