import type { CatalogVerdict } from '../../config/catalog-check.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

/** The file against the database's catalog. */
export function checkFile({ faults, warnings }: Pick<CatalogVerdict, 'faults' | 'warnings'>): Finding[] {
  const subject = 'file';
  const findings = [
    ...faults.map(({ path, message, repair }) => fail(subject, `${path}: ${message}`, thenSetup(repair))),
    // An identity that is changed by itself no longer fits the publication's column list, and the application's UPDATE fails.
    ...warnings.map(({ path, message, repair }) =>
      warn(subject, `${path}: ${message}`, repair === undefined ? undefined : 'afterwrite setup'),
    ),
  ];
  return findings.length > 0 ? findings : [ok(subject, 'its tables, columns and types are in the catalog')];
}

function thenSetup(repair: string | undefined): string | undefined {
  return repair === undefined ? undefined : `${repair}; -- then: afterwrite setup`;
}
