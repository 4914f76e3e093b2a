import type { BusConfig } from '../../src/config/bus-config.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { CELLS } from './cache-region.ts';
import { expectConfig } from './config-text.ts';

/** A bus of given families, and the rule texts that a relay would publish for them, ids being texts. */
export interface StrategyBus {
  readonly text: string;
  readonly config: BusConfig;
  readonly rules: Readonly<Record<string, string>>;
}

/** `families`: the lines of the section, each `name: { ... }`. */
export function strategyBus(...families: readonly string[]): StrategyBus {
  return busOf(['bus: shop'], families);
}

/** `head`: what stands before the other sections: the bus's name, and its prefix. */
export function busOf(head: readonly string[], families: readonly string[]): StrategyBus {
  const text = [
    ...head,
    'source: { url: postgres://nobody@127.0.0.1:1/none }',
    `log: { redisStreams: { url: redis://127.0.0.1:1, partitions: ${CELLS} } }`,
    'regions: { eu: { redis: redis://127.0.0.1:1 } }',
    'families:',
    ...families.map((line) => `  ${line}`),
  ].join('\n');
  const config = expectConfig(parseConfig([{ name: 'f', text }], {}));
  const rules = Object.fromEntries(
    [...config.families.values()].map(({ name, ruleHash }) => [name, `${ruleHash} text`]),
  );
  return { text, config, rules };
}
