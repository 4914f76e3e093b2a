import { SourceOrigin, type SourceOriginOptions } from '../../src/client/source-origin.ts';
import type { Pools } from '../../src/client/source-read.ts';
import type { Loaded } from '../../src/client/origin.ts';
import { parseKeyTemplate } from '../../src/protocol/key-template.ts';
import type { KeyType } from '../../src/protocol/key-parameter.ts';
import type { ReadToken } from '../../src/protocol/read-token.ts';

interface SourceFamily {
  readonly source: string;
  readonly reads?: 'primary' | 'replica';
  readonly rows?: 'one' | 'many';
  readonly type?: KeyType;
}

/** An origin of a family `user:{id}` with the source. */
export function originOf(
  { source, reads, rows, type }: SourceFamily,
  pools: Pools,
  oneByOne?: (why: string) => void,
): SourceOrigin {
  const key = parseKeyTemplate('user:{id}');
  if (key.kind === 'fault') throw new Error(key.fault);
  const family: SourceOriginOptions['family'] = {
    name: 'user',
    key: key.template,
    source,
    reads: reads ?? 'primary',
    isList: rows === 'many',
  };
  return new SourceOrigin({
    family,
    pools,
    keyTypes: () => [type ?? 'integer'],
    monotonicMs: () => performance.now(),
    ...(oneByOne === undefined ? {} : { oneByOne }),
  });
}

/** Loads one key, once. */
export function loadOnce(
  family: SourceFamily,
  pools: Pools,
  options: { readonly id?: unknown; readonly token?: ReadToken; readonly signal?: AbortSignal } = {},
): Promise<Loaded> {
  return originOf(family, pools).load(
    { id: options.id ?? 1 },
    {
      signal: options.signal ?? new AbortController().signal,
      ...(options.token === undefined ? {} : { token: options.token }),
    },
  );
}
