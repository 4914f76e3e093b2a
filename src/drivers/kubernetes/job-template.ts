import { readFile } from 'node:fs/promises';
import type { V1Job } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { BusError } from '../../protocol/errors.ts';

/** A Job's manifest, from the file that a ConfigMap is mounted as. Read for each Job: a ConfigMap that is changed changes the file. */
export type JobTemplate = V1Job;

/**
 * Throws `JOB_TEMPLATE_INVALID`. What a field means is the API server's to judge, which is asked to refuse what it does not know.
 */
export async function readJobTemplate(path: string): Promise<JobTemplate> {
  const invalid = (why: string, cause?: unknown): BusError =>
    new BusError('JOB_TEMPLATE_INVALID', why, { at: path, ...(cause === undefined ? {} : { cause }) });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw invalid(`The file cannot be read: ${(cause as Error).message}`, cause);
  }
  let template: unknown;
  try {
    template = parse(text);
  } catch (cause) {
    throw invalid(`No YAML: ${(cause as Error).message}`, cause);
  }
  if (typeof template !== 'object' || template === null) throw invalid('A manifest is expected.');
  const job = template as JobTemplate;
  if (job.kind !== 'Job' || job.apiVersion !== 'batch/v1')
    throw invalid('apiVersion batch/v1 and kind Job are expected.');
  const containers: unknown = job.spec?.template?.spec?.containers;
  if (!Array.isArray(containers) || containers.length === 0)
    throw invalid('spec.template.spec.containers: one at least is expected.');
  return job;
}
