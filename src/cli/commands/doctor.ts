import { examine } from '../doctor/examine.ts';
import { findingLines } from '../doctor/finding.ts';
import { withFiles } from '../doctor/repair.ts';
import { EXIT } from '../exit-code.ts';
import { printJson, printLines } from '../output.ts';
import { type CommandContext, configOf, DEFAULT_FILE } from './context.ts';

/** `afterwrite doctor`: every finding with its level and its repair. Exits 1 if anything fails. */
export async function doctorCommand(context: CommandContext): Promise<number> {
  const files = context.configPaths.join() === DEFAULT_FILE ? [] : context.configPaths;
  const findings = (await examine(await configOf(context))).map((one) =>
    one.repair === undefined ? one : { ...one, repair: withFiles(one.repair, files) },
  );
  const failures = findings.filter(({ level }) => level === 'fail').length;
  const warnings = findings.filter(({ level }) => level === 'warn').length;
  const { out } = context.output;
  if (context.json) printJson(out, { ok: failures === 0, findings });
  else
    printLines(out, [
      ...findingLines(findings),
      '',
      failures + warnings === 0 ? 'All is well.' : `${failures} to mend, ${warnings} to look at.`,
    ]);
  return failures === 0 ? EXIT.ok : EXIT.failed;
}
