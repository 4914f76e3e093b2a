import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactUrls } from '../../src/protocol/redact.ts';

test('the password of every URL is masked, whatever is in it, and nothing else', () => {
  const texts: Readonly<Record<string, string>> = {
    'postgres://app:s3cret@db:5432/shop': 'postgres://app:***@db:5432/shop',
    'redis://:s3cret@eu and rediss://u:s3cret@us/0': 'redis://:***@eu and rediss://u:***@us/0',
    'no connection to "postgres://app:s3@cr/et@db/shop", again': 'no connection to "postgres://app:***@db/shop", again',
    'postgres://db/shop?user=app&password=s3cret&sslmode=require':
      'postgres://db/shop?user=app&password=***&sslmode=require',
    "redis://app:it's@eu:6379": 'redis://app:***@eu:6379',
    'postgres://app:a"b@db/shop': 'postgres://app:***@db/shop',
    "postgres://db/shop?sslpassword=it's&options=-c%20app.token%3Ds3cret":
      'postgres://db/shop?sslpassword=***&options=***',
    'redis://eu:6379/0': 'redis://eu:6379/0',
    'kafka:9092, 12:30, a@b.c': 'kafka:9092, 12:30, a@b.c',
  };
  for (const [text, masked] of Object.entries(texts)) assert.equal(redactUrls(text), masked);
});
