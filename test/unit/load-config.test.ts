import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../../src/config/load-config.ts';
import { isBusError } from '../../src/protocol/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'config-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const SOUND = `bus: shop
source: { url: "postgres://u@db/shop" }
log: { redisStreams: { url: "redis://log" } }
regions: { eu: { redis: "redis://eu" } }
families:
  user: { key: "user:{id}", ttl: 5m, on: { users: { id: id } } }
`;

async function refusalOf(content: string | Buffer): Promise<string> {
  const path = join(folder, 'afterwrite.yaml');
  writeFileSync(path, content);
  const error = await loadConfig([path], {}).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return isBusError(error, 'CONFIG_INVALID') ? error.message.replaceAll(`${folder}/`, '') : String(error);
}

test('a mark of the byte order is no fault, and other encodings are named as such', async () => {
  assert.equal(await refusalOf(`\ufeff${SOUND}`), 'undefined');
  for (const bytes of [Buffer.from(SOUND, 'utf16le'), Buffer.from(`${SOUND}# caf\u00e9`, 'latin1')])
    assert.equal(await refusalOf(bytes), 'The file afterwrite.yaml cannot be read: it is no text in UTF-8.');
});

test('a file too large to be one is refused before it is parsed', async () => {
  const text = SOUND + '#'.repeat(4 << 20);
  assert.match(await refusalOf(text), /it has 41\d{5} bytes, and 4194304 at most are expected/);
});

test('aliases that multiply, and nesting without end, are refused', async () => {
  const names = [...'abcdefghij'];
  const laughs = names.map((name, i) => `${name}: &${name} [${`${i === 0 ? 'x' : `*${names[i - 1]}`},`.repeat(9)}]\n`);
  assert.match(await refusalOf(laughs.join('')), /alias count/);
  assert.match(await refusalOf(`bus: ${'['.repeat(20_000)}`), /afterwrite\.yaml:1/);
});

test('a URL with a blank in its password is refused without showing it', async () => {
  const message = await refusalOf(SOUND.replace('u@db', 'u:my s3cret@db'));
  assert.match(message, /source\.url: .*%XX/);
  assert.doesNotMatch(message, /s3cret/);
});
