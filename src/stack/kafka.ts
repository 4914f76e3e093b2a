import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { BusError, isBusError } from '../protocol/errors.ts';
import { cacheFolder, makeCached } from './cache-folder.ts';
import { canInstallPackages, installPackages, type Say } from './debian.ts';
import { hasDocker, startContainer } from './docker.ts';
import { type GuardedProcess, startGuarded, untilReady } from './guarded-process.ts';
import { acceptsConnections, freePort, programInPath, temporaryFolder } from './place.ts';

const run = promisify(execFile);

export const KAFKA_VERSION = '4.1.1';

export interface KafkaServer {
  readonly brokers: readonly string[];
  readonly chosen: string;
  /** Undefined where it was given, and is not ours to end. */
  readonly process: GuardedProcess | undefined;
  stop(): Promise<void>;
}

export interface KafkaOptions {
  /** Brokers that run already, as host:port. */
  readonly brokers?: readonly string[] | undefined;
  readonly say?: Say;
}

const JVM = ['-Xms128m', '-Xmx320m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];

/** Finds or starts a Kafka broker (KRaft, one node): given brokers, else its jars under Java. Throws `STACK_UNAVAILABLE`. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  if (options.brokers !== undefined) {
    return { brokers: options.brokers, chosen: 'the given brokers', process: undefined, stop: async () => undefined };
  }
  const say = options.say ?? (() => undefined);
  let java: string;
  let classpath: string;
  try {
    java = await findJava(say);
    classpath = await findJars(say);
  } catch (error) {
    if (isBusError(error, 'STACK_UNAVAILABLE') && (await hasDocker())) return startInDocker();
    throw error;
  }
  const folder = await temporaryFolder('kafka');
  try {
    const [port, controllerPort] = [await freePort(), await freePort()];
    await writeFile(join(folder.path, 'server.properties'), properties(folder.path, port, controllerPort));
    await writeFile(
      join(folder.path, 'log4j2.properties'),
      'status=off\nrootLogger.level=warn\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\nappender.out.name=out\n',
    );
    await run(java, [
      ...JVM,
      '-cp',
      classpath,
      'kafka.tools.StorageTool',
      'format',
      '-t',
      'YWZ0ZXJ3cml0ZWJ1c2VzMA',
      '-c',
      join(folder.path, 'server.properties'),
    ]).catch((cause: unknown) => {
      throw new BusError('STACK_START_FAILED', `Kafka could not format its folder: ${(cause as Error).message}`, {
        cause,
      });
    });
    return await startBroker({ java, classpath, folder, port });
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

interface Broker {
  readonly java: string;
  readonly classpath: string;
  readonly folder: { readonly path: string; remove(): Promise<void> };
  readonly port: number;
}

async function startBroker(broker: Broker): Promise<KafkaServer> {
  const { java, classpath, folder, port } = broker;
  const log4j = `-Dlog4j2.configurationFile=${join(folder.path, 'log4j2.properties')}`;
  const server = await startGuarded(java, [
    ...JVM,
    log4j,
    '-cp',
    classpath,
    'kafka.Kafka',
    join(folder.path, 'server.properties'),
  ]);
  await untilReady('kafka', server, () => acceptsConnections(port));
  return {
    brokers: [`127.0.0.1:${port}`],
    chosen: `Kafka ${KAFKA_VERSION} from its jars, under ${java}`,
    process: server,
    // A clean stop takes seconds, for logs that are deleted at once.
    stop: async () => {
      await server.stop('SIGKILL');
      await folder.remove();
    },
  };
}

function properties(folder: string, port: number, controllerPort: number): string {
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'num.network.threads': '2',
    'num.io.threads': '4',
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

async function startInDocker(): Promise<KafkaServer> {
  const port = await freePort();
  const container = await startContainer({
    image: `apache/kafka:${KAFKA_VERSION}`,
    ports: new Map([[port, port]]),
    env: {
      KAFKA_NODE_ID: '1',
      KAFKA_PROCESS_ROLES: 'broker,controller',
      KAFKA_LISTENERS: `PLAINTEXT://:${port},CONTROLLER://:9093`,
      KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
    },
    ready: ['/opt/kafka/bin/kafka-broker-api-versions.sh', '--bootstrap-server', `127.0.0.1:${port}`],
  });
  const server: KafkaServer = {
    brokers: [`127.0.0.1:${port}`],
    chosen: `Docker (apache/kafka:${KAFKA_VERSION})`,
    process: undefined,
    stop: container.stop,
  };
  return server;
}

async function findJava(say: Say): Promise<string> {
  const present = programInPath('java');
  if (present !== undefined && (await javaMajor(present)) >= 17) return present;
  if (canInstallPackages()) {
    await installPackages(['default-jre-headless'], say);
    const installed = programInPath('java');
    if (installed !== undefined && (await javaMajor(installed)) >= 17) return installed;
  }
  throw new BusError(
    'STACK_UNAVAILABLE',
    'No Kafka: it needs Java 17 or newer. Install it (Debian: `sudo apt-get install default-jre-headless`; macOS: `brew install openjdk`).',
  );
}

async function javaMajor(java: string): Promise<number> {
  // macOS has a java that does nothing but ask for one to be installed.
  const said = await run(java, ['-version']).then(
    ({ stderr, stdout }) => stderr + stdout,
    () => '',
  );
  return Number(/version "(\d+)/.exec(said)?.[1] ?? 0);
}

/** The jars of an installed Kafka, else those of Maven's repository, kept in the user's cache folder. */
async function findJars(say: Say): Promise<string> {
  const home = process.env['KAFKA_HOME'];
  if (home !== undefined && existsSync(join(home, 'libs'))) return join(home, 'libs', '*');
  const name = `kafka-${KAFKA_VERSION}`;
  const jars = join(cacheFolder(), name);
  if (!existsSync(jars)) await downloadJars(name, await findMaven(say), say);
  return [join(jars, '*')].join(delimiter);
}

async function findMaven(say: Say): Promise<string> {
  const present = programInPath('mvn');
  if (present !== undefined) return present;
  if (canInstallPackages()) {
    await installPackages(['maven'], say);
    const installed = programInPath('mvn');
    if (installed !== undefined) return installed;
  }
  throw new BusError(
    'STACK_UNAVAILABLE',
    'No Kafka: its jars are fetched with Maven, and there is no mvn in PATH. Install it (Debian: `sudo apt-get install maven`; macOS: `brew install maven`), or set KAFKA_HOME.',
  );
}

async function downloadJars(name: string, mvn: string, say: Say): Promise<void> {
  say(`fetching Kafka ${KAFKA_VERSION} with Maven (43 MB, once)`);
  await makeCached(name, async (work) => {
    await writeFile(join(work, 'pom.xml'), POM);
    const args = [
      '-q',
      '-B',
      '-f',
      join(work, 'pom.xml'),
      'dependency:copy-dependencies',
      `-DoutputDirectory=${join(work, 'jars')}`,
    ];
    await run(mvn, args, { maxBuffer: 64 << 20, timeout: 600_000 }).catch((cause: unknown) => {
      throw new BusError(
        'STACK_UNAVAILABLE',
        `No Kafka: Maven could not fetch its jars. Try \`mvn dependency:get -Dartifact=org.apache.kafka:kafka_2.13:${KAFKA_VERSION}\`.`,
        { cause },
      );
    });
    return join(work, 'jars');
  });
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>afterwrite</groupId>
  <artifactId>demo-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;
