import { BusError } from '../protocol/errors.ts';

type Library = Pick<typeof import('@msgpack/msgpack'), 'encode' | 'decode'>;

let library: Library | undefined;

/** An optional peer: who uses no MessagePack need not have it. Called before the first value is read. Values that another release of the application has stored are read too, where the package is there. */
export async function loadMsgpack(families: readonly string[]): Promise<void> {
  try {
    library ??= await import('@msgpack/msgpack');
  } catch (cause) {
    if (families.length === 0) return;
    throw new BusError(
      'CACHE_CODEC_MISSING',
      `Families with codec: msgpack need the package @msgpack/msgpack: ${families.join(', ')}.`,
      { cause },
    );
  }
}

/** As JSON does, it leaves out what is undefined in an object. */
export function packMsgpack(value: unknown): Uint8Array {
  return loaded().encode(value, { ignoreUndefined: true });
}

export function unpackMsgpack(bytes: Uint8Array): unknown {
  return loaded().decode(bytes);
}

function loaded(): Library {
  if (library === undefined) throw new BusError('CACHE_CODEC_MISSING', `The package @msgpack/msgpack was not loaded.`);
  return library;
}
