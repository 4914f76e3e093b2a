import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { findHelm, type HelmAge } from '../../src/stack/helm.ts';

const run = promisify(execFile);

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const CHART = `${ROOT}helm/afterwrite`;
/** The oldest Kubernetes that the chart takes. */
const KUBERNETES = '1.31.0';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** What a program said, in both streams, and how it ended. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function helm(age: HelmAge, ...args: readonly string[]): Promise<Said> {
  const program = await findHelm(age, (line) => console.log(line));
  try {
    const { stdout, stderr } = await run(program, [...args], { maxBuffer: 16 << 20 });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

/** `helm template` of a release `afterwrite` in a namespace `afterwrite`. `values` are files of test/chart/values, or `--set` and its like. */
export function template(age: HelmAge, ...values: readonly string[]): Promise<Said> {
  const args = values.flatMap((one) =>
    /^[a-z-]+\.yaml$/.test(one) ? ['--values', `${ROOT}test/chart/values/${one}`] : [one],
  );
  return helm(age, 'template', 'afterwrite', CHART, '-n', 'afterwrite', '--kube-version', KUBERNETES, ...args);
}

/** Rendered, read and in one order, whatever the version of Helm writes it in. */
export async function rendered(age: HelmAge, ...values: readonly string[]): Promise<Manifest[]> {
  const { code, out, err } = await template(age, ...values);
  if (code !== 0) throw new Error(err);
  return manifestsOf(out);
}

/** As Helm and the API server's own clients read it: by YAML 1.1, where a bare `no` is false. */
export function manifestsOf(text: string): Manifest[] {
  const manifests = parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
  return manifests.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

export function keyOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}

export function printed(manifests: readonly Manifest[]): string {
  return manifests.map((one) => `---\n${stringify(one, { lineWidth: 0, aliasDuplicateObjects: false })}`).join('');
}

/** The one of this kind and name. */
export function found(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const one = manifests.find(
    (manifest) => manifest.kind === kind && (name === undefined || manifest.metadata.name === name),
  );
  if (one === undefined) throw new Error(`No ${kind} ${name ?? ''}`);
  return one;
}
