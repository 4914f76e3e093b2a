// The same promises with an application that brings ioredis 5.
process.env['IOREDIS'] = '5';
await import('./client.redis.test.ts');
