import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { settingsHelp } from '../runtime/settings.ts';
import { configCheckCommand, configSchemaCommand, configShowCommand } from './commands/config.ts';
import { configTypesCommand } from './commands/config-types.ts';
import { type CommandContext, configOf, DEFAULT_FILE, regionOf } from './commands/context.ts';
import { addController, type ControllerOptions } from './commands/controller.ts';
import { doctorCommand } from './commands/doctor.ts';
import { explainCommand } from './commands/explain.ts';
import { gateCommand } from './commands/gate.ts';
import { hotKeysCommand } from './commands/hot-keys.ts';
import { type InvalidateTarget, invalidateCommand } from './commands/invalidate.ts';
import { probeCommand } from './commands/probe.ts';
import { setupCommand } from './commands/setup.ts';
import { statusCommand } from './commands/status.ts';
import { type DemoOptions, demoCommand } from './demo/demo.ts';
import { failoverDemo } from './demo/failover/failover.ts';
import type { OpenDemoCache } from './demo/failover/scene.ts';
import { SERVER_VARIABLES } from './demo/given-servers.ts';
import type { Output } from './output.ts';
import type { RowOperation } from './explain.ts';
import { readWarmupOptions, WARMUP_MODES, type WarmupFlags, type WarmupOptions } from './warmup/options.ts';

/** The long-running programs, which the composition root makes. */
export interface Programs {
  runRelay(config: BusConfig): Promise<number>;
  runAgent(config: BusConfig, region: RegionConfig): Promise<number>;
  runWorker(config: BusConfig, region: RegionConfig, file: string): Promise<number>;
  runFlush(config: BusConfig): Promise<number>;
  runWarmup(config: BusConfig, region: RegionConfig, options: WarmupOptions): Promise<number>;
  runController(config: BusConfig, options: ControllerOptions): Promise<number>;
  /** A cache of the library, for the demo’s users. */
  readonly openDemoCache: OpenDemoCache;
}

const EXIT_HELP = `
Exit codes: 0 all is well · 1 something is wrong, or was missed · 2 usage, settings, the file, or something missing · 128 and its number after a signal: 130 is Ctrl-C`;

/** The command line. `done` is told the exit code of the command that ran. */
export function createProgram(output: Output, programs: Programs, done: (code: number) => void): Command {
  const program = new Command('afterwrite');
  program
    .description('After a write, every region forgets the old value.')
    .option(
      '-c, --config <file>',
      'the user’s file; given again, the files are joined (AFTERWRITE_CONFIG; default afterwrite.yaml)',
      (file: string, files: string[] | undefined) => [...(files ?? []), file],
    )
    .option('--json', 'one JSON object in place of lines, where a program would read it')
    .configureOutput({ writeOut: (text) => output.out.write(text), writeErr: (text) => output.err.write(text) })
    .version(version(), '-V, --version')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('afterAll', EXIT_HELP)
    .showHelpAfterError('(--help says more)')
    .exitOverride();

  const context = (): CommandContext => {
    const { config, json } = program.opts<{ config?: string[]; json?: boolean }>();
    const fromEnvironment = process.env['AFTERWRITE_CONFIG'];
    return {
      output,
      configPaths: config ?? [fromEnvironment === undefined || fromEnvironment === '' ? DEFAULT_FILE : fromEnvironment],
      json: json === true,
    };
  };
  const jsonToo = (command: Command): Command =>
    command
      .option('--json', 'one JSON object in place of lines')
      .hook(
        'preAction',
        (_program, action) =>
          void (action.opts<{ json?: boolean }>().json === true && program.setOptionValue('json', true)),
      );

  jsonToo(program.command('demo'))
    .description(
      'everything on this machine, with real servers: shows evictions in three regions, proves the end state, cleans up',
    )
    .option(
      '--seconds <n>',
      'how long the writer runs (default 20), or the users before the failover (default 40)',
      wholeNumber,
    )
    .option('--rate <n>', 'commits a second', wholeNumber, 100)
    .addOption(new Option('--log <kind>', 'the log to use').choices(['kafka', 'redis-streams']))
    .option('--failover', 'instead: a region’s Redis is killed and comes back empty, with a warm-up and without')
    .option('--keep', 'leave servers and processes running until Ctrl-C, after the proof')
    .addHelpText('after', `\nServers that run already:\n${variablesHelp()}`)
    .action(async ({ failover, ...options }: Omit<DemoOptions, 'json'> & { failover?: boolean }) => {
      const { json } = context();
      if (failover === true) done(await failoverDemo(output, { ...options, json }, programs.openDemoCache));
      else done(await demoCommand(output, { ...options, json }));
    });

  jsonToo(program.command('setup'))
    .description(
      'make publication, replica identities, slot and log; prints the plan first; a second run changes nothing',
    )
    .option('--dry-run', 'print the plan only')
    .option(
      '--no-repair-identity',
      'leave replica identities as they are: changes that they cannot tell apart make whole families old',
    )
    .action(async ({ dryRun, repairIdentity }: { dryRun?: boolean; repairIdentity: boolean }) =>
      done(await setupCommand(context(), { dryRun: dryRun === true, repairIdentity })),
    );

  jsonToo(program.command('doctor'))
    .description('check Postgres, log, Redis and file before they bite; each finding with its repair')
    .action(async () => done(await doctorCommand(context())));

  program
    .command('relay')
    .description('stage 1: Postgres’s log into the bus; a second one stands by')
    .addHelpText('after', `\nEnvironment:\n${settingsHelp()}`)
    .action(async () => done(await programs.runRelay(await configOf(context()))));

  program
    .command('agent')
    .description('stage 2: the bus into one region’s Redis; any number share a region')
    .requiredOption('-r, --region <name>', 'the region, as the file names it')
    .addHelpText('after', `\nEnvironment:\n${settingsHelp()}`)
    .action(async ({ region }: { region: string }) => {
      const config = await configOf(context());
      done(await programs.runAgent(config, regionOf(config, region)));
    });

  program
    .command('worker')
    .description(
      'loads anew what has changed of families with the application’s own loaders; any number share a region',
    )
    .argument('<file>', 'a module whose default export opens the families: (cache) => cache.family(name, { load })')
    .requiredOption('-r, --region <name>', 'the region, as the file names it')
    .addHelpText('after', `\nEnvironment:\n${settingsHelp()}`)
    .action(async (file: string, { region }: { region: string }) => {
      const config = await configOf(context());
      done(await programs.runWorker(config, regionOf(config, region), file));
    });

  program
    .command('flush')
    .description('what the application has written behind, from the buffers into Postgres; any number share the work')
    .addHelpText('after', `\nEnvironment:\n${settingsHelp()}`)
    .action(async () => done(await programs.runFlush(await configOf(context()))));

  jsonToo(program.command('warmup'))
    .description(
      'fills a cold region with what its readers ask for most, at a pace that the database bears; then its gate opens',
    )
    .requiredOption('-r, --region <name>', 'the region, as the file names it')
    .option('--from <region>', 'the region whose readers say what is hot; default the same')
    .addOption(
      new Option(
        '--mode <mode>',
        'eager: until the target; shadow: follows another region; gradual: loads nothing, and opens the gate by steps of time',
      )
        .choices(WARMUP_MODES)
        .default('eager'),
    )
    .option('--for <duration>', 'how long to follow, such as 10m; default until SIGTERM')
    .option('--shard <i/n>', 'the part of the keys, from 0; of/n takes i from JOB_COMPLETION_INDEX')
    .option(
      '--epoch <name>',
      'of the gate for which it is started: where it is another by now, nothing is loaded (AFTERWRITE_EPOCH)',
    )
    .option('--plan', 'print what would be done, and do nothing')
    .addHelpText(
      'after',
      `\nExits 42 where it would end so each time (the source is wrong), 43 where the region began anew meanwhile.\n\nEnvironment:\n${settingsHelp()}`,
    )
    .action(async (flags: WarmupFlags) => {
      const config = await configOf(context());
      const region = regionOf(config, flags.region);
      const options = readWarmupOptions(flags, [...config.regions.keys()], process.env, context().json);
      done(await programs.runWarmup(config, region, options));
    });

  addController(program, async (options) => done(await programs.runController(await configOf(context()), options)));

  jsonToo(program.command('status'))
    .description('one screen: relay, slot, log, and each region’s watermark and staleness')
    .action(async () => done(await statusCommand(context())));

  jsonToo(program.command('gate'))
    .description('whether a region is warm, and how much of the traffic may come; or opens its gate by hand')
    .requiredOption('-r, --region <name>', 'the region, as the file names it')
    .option('--open', 'let all traffic in, whatever is warm; a warm-up that runs goes on')
    .action(async ({ region, open }: { region: string; open?: boolean }) => {
      const config = await configOf(context());
      done(await gateCommand(context(), config, regionOf(config, region), { open: open === true }));
    });

  jsonToo(program.command('hot-keys'))
    .description('what a region reads most, as its agents have published it: what a warm-up would load')
    .requiredOption('-r, --region <name>', 'the region, as the file names it')
    .option('-f, --family <name>', 'of one family only')
    .option('--top <n>', 'so many of each family', wholeNumber, 20)
    .action(async ({ region, family, top }: { region: string; family?: string; top: number }) =>
      done(await hotKeysCommand(context(), { region, family, top })),
    );

  jsonToo(program.command('probe'))
    .description('writes a row of a table that is there for it, and waits for its key to be gone from a region’s Redis')
    .requiredOption('-r, --region <name>', 'the region, as the file names it')
    .option('--family <name>', 'a family over that table, whose key is one column of it', 'probe')
    .option('--seconds <n>', 'how long to wait', wholeNumber, 30)
    .action(async ({ region, family, seconds }: { region: string; family: string; seconds: number }) => {
      const config = await configOf(context());
      done(await probeCommand(context(), config, regionOf(config, region), { family, seconds }));
    });

  addInvalidate(program, jsonToo, async (target) => done(await invalidateCommand(context(), target)));

  jsonToo(program.command('explain'))
    .description('which keys a change would make old, and why: explain users id=42 org_id=1 --set org_id=2')
    .argument('<table>', 'the table, or schema.table')
    .argument('[row...]', 'the row, as column=value; NULL is SQL’s')
    .option('--set <assignment...>', 'what an update changes, as column=value', [])
    .addOption(
      new Option('--op <operation>', 'the kind of change')
        .choices(['insert', 'update', 'delete', 'truncate'])
        .default('update'),
    )
    .action(async (table: string, row: string[], { set, op }: { set: string[]; op: RowOperation }) =>
      done(await explainCommand(context(), { table, row, set, op })),
    );

  const config = program.command('config').description('the user’s file: check | schema | show | types');
  jsonToo(config.command('check'))
    .description('validate the file, and hold it against the database where that can be reached')
    .action(async () => done(await configCheckCommand(context())));
  config
    .command('schema')
    .description('the JSON Schema, for editors')
    .action(() => done(configSchemaCommand(context())));
  config
    .command('show')
    .description('the file as it was understood, without secrets')
    .action(async () => done(await configShowCommand(context())));
  config
    .command('types')
    .description('TypeScript types of the families: keys by the catalog, values by the columns of `source`')
    .option('-o, --out <file>', 'write them there, such as src/afterwrite-types.d.ts')
    .action(async ({ out }: { out?: string }) => done(await configTypesCommand(context(), out)));
  return program;
}

function addInvalidate(
  program: Command,
  jsonToo: (command: Command) => Command,
  run: (target: InvalidateTarget) => Promise<void>,
): void {
  const invalidate = program.command('invalidate').description('make a key, a tag or a family old in every region');
  jsonToo(invalidate.command('key'))
    .description('one entry: invalidate key user id=42')
    .argument('<family>')
    .argument('<params...>', 'key parameters, as name=value')
    .action((family: string, params: string[]) => run({ scope: 'key', family, params }));
  jsonToo(invalidate.command('tag'))
    .description('every entry with the tag: invalidate tag org:7')
    .argument('<tag>')
    .action((tag: string) => run({ scope: 'tag', tag }));
  jsonToo(invalidate.command('family'))
    .description('every entry of the family')
    .argument('<family>')
    .action((family: string) => run({ scope: 'family', family }));
}

/** The package stands two folders up, in the sources and in what is built of them. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function variablesHelp(): string {
  return Object.entries(SERVER_VARIABLES)
    .map(([name, help]) => `  ${name.padEnd(30)}${help}`)
    .join('\n');
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 100_000)
    throw new BusError('SETTING_INVALID', `"${text}" is no whole number from 1 to 100,000.`);
  return number;
}
