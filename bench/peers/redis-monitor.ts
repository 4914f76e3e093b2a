import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { commandOf } from './monitor-line.ts';

/** How long the server must have had no command before what was set going counts as done. */
const QUIET_MS = 60;

/** Watches what a Redis server is sent, with MONITOR: to count commands, and to see when background work has ended. */
export class RedisMonitor {
  readonly #socket: Socket;
  #commands: string[] = [];
  #lastAt = performance.now();
  #ignored: ReadonlySet<string> = new Set();

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async start(port: number): Promise<RedisMonitor> {
    const socket = connect(port, '127.0.0.1');
    const monitor = new RedisMonitor(socket);
    const lines = createInterface({ input: socket });
    const begun = new Promise<void>((resolve, reject) => {
      lines.once('line', () => resolve());
      socket.once('error', reject);
    });
    // A server that is killed resets the connection.
    socket.on('error', () => undefined);
    lines.on('line', (line) => {
      const command = commandOf(line, monitor.#ignored);
      if (command === undefined) return;
      monitor.#lastAt = performance.now();
      monitor.#commands.push(command);
    });
    socket.write('MONITOR\r\n');
    await begun;
    return monitor;
  }

  /** What these clients send from now on is not seen. Addresses as CLIENT LIST prints them. */
  ignore(clients: ReadonlySet<string>): void {
    this.#ignored = clients;
  }

  /** Waits until nothing has been sent for a while. */
  async quiet(): Promise<void> {
    const askedAt = performance.now();
    for (;;) {
      const restMs = Math.max(this.#lastAt, askedAt) + QUIET_MS - performance.now();
      if (restMs <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  }

  /** The commands of `work`, with those it left running in the background. */
  async commandsOf(work: () => Promise<unknown>): Promise<readonly string[]> {
    await this.quiet();
    this.#commands = [];
    await work();
    await this.quiet();
    return this.#commands;
  }

  stop(): void {
    this.#socket.destroy();
  }
}
