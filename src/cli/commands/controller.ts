import { type Command, InvalidArgumentError, Option } from 'commander';
import { settingsHelp } from '../../runtime/settings.ts';

/** What is said on the command line, or by its variable. */
export interface ControllerOptions {
  readonly template: string;
  readonly namespace?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly lease?: string | undefined;
  readonly owner?: string | undefined;
  readonly identity?: string | undefined;
  readonly shards: number;
  readonly ttlSeconds: number;
  readonly onFailure: 'hold' | 'open';
  /** The namespace of the pods whose readiness waits for their region; undefined: none does. */
  readonly pods?: string | undefined;
  /** Empty: all of the file. */
  readonly regions: readonly string[];
}

/** As many as `afterwrite warmup --shard of/N` takes. */
const SHARDS_MAX = 9999;

/** `afterwrite controller`. Each option has its variable, for a chart to set. */
export function addController(program: Command, run: (options: ControllerOptions) => Promise<void>): void {
  program
    .command('controller')
    .description('on Kubernetes: a warm-up Job for each region that is cold; any number run, one leads')
    .addOption(
      new Option('--template <file>', 'manifest of the warm-up Job, as a ConfigMap is mounted')
        .env('AFTERWRITE_JOB_TEMPLATE')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--namespace <name>', 'where the Jobs and the lease are; default: the own one').env(
        'AFTERWRITE_NAMESPACE',
      ),
    )
    .addOption(
      new Option('--kubeconfig <file>', 'outside of a cluster; default: KUBECONFIG, or the pod’s service account').env(
        'AFTERWRITE_KUBECONFIG',
      ),
    )
    .addOption(
      new Option('--lease <name>', 'the leader lease; default afterwrite-controller-<bus>').env('AFTERWRITE_LEASE'),
    )
    .addOption(
      new Option('--owner <object>', 'configmap/NAME or deployment/NAME: Jobs go with it').env('AFTERWRITE_OWNER'),
    )
    .addOption(new Option('--identity <name>', 'name of this pod; default: the host’s name').env('AFTERWRITE_POD_NAME'))
    .addOption(
      new Option('--shards <n>', 'pods of a warm-up, which share the keys')
        .env('AFTERWRITE_WARMUP_SHARDS')
        .argParser(whole(1, SHARDS_MAX))
        .default(1),
    )
    .addOption(
      new Option('--ttl-seconds <n>', 'how long a Job stands after its region is warm')
        .env('AFTERWRITE_JOB_TTL_SECONDS')
        .argParser(whole(0, 30 * 86_400))
        .default(86_400),
    )
    .addOption(
      new Option('--on-failure <policy>', 'of a region whose warm-up failed: hold its gate shut, or open it cold')
        .env('AFTERWRITE_ON_FAILURE')
        .choices(['hold', 'open'])
        .default('hold'),
    )
    .addOption(
      new Option('--pods <namespace>', 'of the application’s pods with a readiness gate; default: none have one').env(
        'AFTERWRITE_PODS_NAMESPACE',
      ),
    )
    .addOption(new Option('--regions <name...>', 'only these; default: all of the file').default([]))
    .addHelpText('after', `\nEnvironment:\n${settingsHelp()}`)
    .action(run);
}

function whole(from: number, to: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!Number.isInteger(number) || number < from || number > to)
      throw new InvalidArgumentError(`A whole number from ${from} to ${to} is expected.`);
    return number;
  };
}
