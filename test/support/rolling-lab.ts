import type { DemoChild } from '../../src/cli/demo/children.ts';
import { readRegionView } from '../../src/drivers/redis/region-view.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { eventually } from './eventually.ts';
import { metricOf, openStage, SHOP, SHOP_FAMILIES, type Stage } from './stage.ts';
import { startSteadyLoad, type SteadyLoad } from './steady-load.ts';

const USERS = 300;
const CELLS = 12;
const AGENTS = 3;
const SETTLED_DEADLINE_MS = 30_000;

type LabAgent = DemoChild & { readonly httpPort: number };

/** The longest gap of any key, from commit to eviction, in milliseconds. */
export interface Gaps {
  /** Nothing happens to the agents. */
  readonly undisturbed: number;
  /** Each of three agents in turn: drained, then a new one started. */
  readonly replaced: number;
  /** Each of three agents in turn: a new one started, then the old one drained. */
  readonly surged: number;
  /** One of three killed as `kill -9` does. */
  readonly killed: number;
}

/** Three agents of one region on real servers, under a load, to be restarted and killed. */
export class RollingLab {
  readonly stage: Stage;
  readonly load: SteadyLoad;
  #agents: LabAgent[] = [];
  #started = 0;

  private constructor(stage: Stage) {
    this.stage = stage;
    this.load = startSteadyLoad(stage, USERS);
  }

  static async open(log: 'kafka' | 'redis-streams'): Promise<RollingLab> {
    const stage = await openStage({ log, schema: SHOP, families: SHOP_FAMILIES, partitions: CELLS });
    try {
      await stage.sql.query(`insert into users select n, n % 10, 'n' from generate_series(1, ${USERS}) n`);
      await stage.startRelay('relay');
      const lab = new RollingLab(stage);
      while (lab.#agents.length < AGENTS) await lab.#start();
      await lab.#untilShared();
      return lab;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  /** One round of all that is done to agents; afterwards there are three again. */
  async round(): Promise<Gaps> {
    const measure = async (doing: () => Promise<void>): Promise<number> => {
      await this.#untilShared();
      await this.#untilEvicted(200);
      this.load.reset();
      await doing();
      // What was changed while it was done is gone too: those that wait are in the longest gap already.
      await this.#untilEvicted(USERS);
      return this.load.longestGapMs();
    };
    const undisturbed = await measure(() => this.#untilEvicted(USERS));
    const replaced = await measure(async () => {
      for (const agent of this.#agents.slice()) {
        await this.#drain(agent);
        await this.#start();
        await this.#untilShared();
      }
    });
    const surged = await measure(async () => {
      for (const agent of this.#agents.slice()) {
        await this.#start();
        await this.#drain(agent);
      }
      await this.#untilShared();
    });
    const killed = await measure(async () => {
      const victim = this.#agents.shift();
      if (victim !== undefined) await this.stage.kill(victim);
      await this.#untilShared();
    });
    await this.#start();
    return { undisturbed, replaced, surged, killed };
  }

  /** The name of each cell's epoch: another than before would be a chain that was broken. */
  async epochs(): Promise<(string | null | undefined)[]> {
    const { config, redis, partitions } = this.stage;
    const keyspace = createKeyspace({ bus: config.bus, prefix: '', cells: partitions, clustered: false });
    return (await readRegionView(redis, keyspace)).map(({ epoch }) => epoch);
  }

  /** Ends the load. Returns the keys that were never evicted. */
  missed(): Promise<string[]> {
    return this.load.stop();
  }

  close(): Promise<void> {
    return this.stage.close();
  }

  async #start(): Promise<void> {
    this.#started += 1;
    this.#agents.push(await this.stage.startAgent(`agent-${this.#started}`));
  }

  async #drain(agent: LabAgent): Promise<void> {
    this.#agents = this.#agents.filter((one) => one !== agent);
    await agent.stop();
  }

  /** Every cell is held, and nobody holds more than a share. */
  async #untilShared(): Promise<void> {
    const share = Math.ceil(CELLS / this.#agents.length);
    await eventually(
      `each agent has ${share} cells`,
      async () => {
        const owned = await Promise.all(
          this.#agents.map(({ httpPort }) => metricOf(httpPort, 'afterwrite_agent_cells_owned')),
        );
        return owned.every((cells) => cells === share);
      },
      SETTLED_DEADLINE_MS,
    );
  }

  async #untilEvicted(more: number): Promise<void> {
    const until = this.load.evicted() + more;
    await eventually('the load goes on', () => this.load.evicted() >= until, SETTLED_DEADLINE_MS);
  }
}
