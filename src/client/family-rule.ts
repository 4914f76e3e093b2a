import type { Family } from '../config/bus-config.ts';
import type { KeyType } from '../protocol/key-parameter.ts';
import { labelsInOrder, parseRuleText } from '../protocol/rule-text.ts';

/** What is known of the rules by which the region works for a family. */
export class FamilyRule {
  readonly #family: Family;
  #text: string | null = null;
  #keyTypes: readonly (KeyType | undefined)[] = [];
  #labelTypes: ReadonlyMap<string, readonly (KeyType | undefined)[]> = new Map();
  #agrees = false;

  constructor(family: Family) {
    this.#family = family;
  }

  /** As the region published it; null where it has published nothing yet. */
  get text(): string | null {
    return this.#text;
  }

  /** Whether the region's rules are those of this process's file: only then is anything served or stored. */
  get agrees(): boolean {
    return this.#agrees;
  }

  get keyTypes(): readonly (KeyType | undefined)[] {
    return this.#keyTypes;
  }

  /** The types of a label's parameters, by the label's text. */
  labelTypes(label: string): readonly (KeyType | undefined)[] {
    return this.#labelTypes.get(label) ?? [];
  }

  /** Takes what the region says now. Returns whether it is new. */
  learn(text: string | null): boolean {
    if (text === this.#text) return false;
    this.#text = text;
    const rule = text === null ? undefined : parseRuleText(text);
    this.#agrees = rule?.hash === this.#family.ruleHash;
    if (!this.#agrees) return true;
    this.#keyTypes = rule?.keyTypes ?? [];
    this.#labelTypes = new Map(
      labelsInOrder(this.#family.tags).map(({ text }, i) => [text, rule?.labelTypes[i] ?? []]),
    );
    return true;
  }
}
