import { temporaryFolder } from '../../stack/place.ts';
import { createBus, type DemoBus, type DemoPlan, reachGiven } from './bus.ts';
import type { DemoFrame } from './frame.ts';
import { type DemoServers, serverLines, type ServersWish, startServers } from './servers.ts';

export interface OpenedBus {
  readonly servers: DemoServers;
  readonly bus: DemoBus;
  /** For files of the demo's own; removed at its end. */
  readonly folder: string;
}

/** Starts the servers, and a bus on them: a relay, and an agent a region. */
export async function openBus(
  { say, cleanups, ending }: DemoFrame,
  wish: Omit<ServersWish, 'say'>,
  plan: DemoPlan,
): Promise<OpenedBus> {
  const { signal } = ending;
  const folder = await temporaryFolder('demo');
  cleanups.push(folder.remove);
  const servers = await startServers({ ...wish, say });
  cleanups.push(servers.stop);
  ending.watch([servers.failed]);
  signal.throwIfAborted();
  for (const line of serverLines(servers)) say(line);
  await reachGiven(servers);
  const bus = createBus(servers, folder.path, plan);
  cleanups.push(bus.removeTraces);
  cleanups.push(bus.stop);
  await bus.prepare();
  signal.throwIfAborted();
  await bus.start();
  ending.watch(bus.children.map((child) => child.failed));
  signal.throwIfAborted();
  const [relay, agents] = [
    bus.children.find((child) => child.name === 'relay')?.pid,
    bus.children.flatMap((child) => (child.name === 'relay' ? [] : [child.pid])),
  ];
  say(`Relay (pid ${relay}) and agents (pids ${agents.join(', ')}) are ready.`);
  return { servers, bus, folder: folder.path };
}
