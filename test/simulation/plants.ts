/** Faults that are planted in the order of the simulated steps, where the real order is written in a script or a loop. */
export const HARNESS_PLANTS = [
  'fence before lease',
  'no lease compare',
  'scalar LSN on the primary',
  'replayed LSN in the same statement',
  'fence outside the script',
  'position outside the script',
  'dead flight joined',
  'local tier kept on reconnect',
  'reply overtaken by its invalidation',
  'watermark after value',
] as const;

export type HarnessPlant = (typeof HARNESS_PLANTS)[number];
