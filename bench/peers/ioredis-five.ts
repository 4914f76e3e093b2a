// Loaded before a worker (--import). bentocache 1.6.1 asks for ioredis 5, and this package has ioredis 6, which npm cannot install apart for
// it (hence `overrides` in package.json). The two differ where it is measured: against a Redis that is gone, ioredis 5 gives a command up
// after about 11 s, ioredis 6 after more than a minute. So bentocache, its bus and its adapter are given the version that it asks for.
import { registerHooks } from 'node:module';

const ASKS_FOR_FIVE = /\/node_modules\/(?:bentocache|@boringnode\/bus)\/|\/adapters\/bentocache\.ts$/u;

registerHooks({
  resolve: (specifier, context, nextResolve) => {
    const isForFive = specifier === 'ioredis' && ASKS_FOR_FIVE.test(context.parentURL ?? '');
    return nextResolve(isForFive ? 'ioredis-5' : specifier, context);
  },
});
