import type { CellWatermark, ReadReply } from '../../client/cache-store.ts';
import { lsnFromHex } from '../../protocol/lsn.ts';
import { type Mark, parseMark } from '../../protocol/mark.ts';
import type { SourceEpoch } from '../../protocol/source-epoch.ts';

/** What a value is held against: the same text for many reads of a family, so it is read once. */
type HeldAgainst = Pick<ReadReply, 'epoch' | 'familyMark' | 'rule' | 'tagMarks'>;

const HEADS_MAX = 512;

/** Reads the two forms in which read.lua answers. */
export class ReadReplies {
  readonly #heads = new Map<string, HeldAgainst>();

  parse(reply: unknown): ReadReply {
    return typeof reply === 'string' ? this.#text(reply) : fromFields(reply as Fields);
  }

  #text(text: string): ReadReply {
    const headEnd = text.indexOf('\n');
    const leftEnd = text.indexOf('\n', headEnd + 1);
    const { epoch, familyMark, rule, tagMarks } = this.#head(text.slice(0, headEnd));
    return {
      slot: text.slice(leftEnd + 1),
      ttlLeftMs: Number(text.slice(headEnd + 1, leftEnd)),
      epoch,
      familyMark,
      tagMarks,
      rule,
      watermark: null,
    };
  }

  #head(head: string): HeldAgainst {
    const known = this.#heads.get(head);
    if (known !== undefined) return known;
    const [epoch = '', family = '', rule = '', tags = ''] = head.split('\t');
    const read = {
      epoch: epoch === '' ? null : epoch,
      familyMark: markOf(family),
      rule: rule === '' ? null : rule,
      tagMarks: tags === '' ? NO_MARKS : tags.split(',').map(markOf),
    };
    if (this.#heads.size >= HEADS_MAX) this.#heads.clear();
    this.#heads.set(head, read);
    return read;
  }
}

const NO_MARKS: readonly (Mark | null)[] = [];

type Fields = [
  slot: string | null,
  ttlLeftMs: number,
  epoch: string | null,
  familyMark: string | null,
  rule: string | null,
  tagMarks: (string | null)[],
  watermark: (string | null)[] | null,
];

function fromFields([slot, ttlLeftMs, epoch, familyMark, rule, tagMarks, watermark]: Fields): ReadReply {
  return {
    slot,
    ttlLeftMs,
    epoch,
    familyMark: markOf(familyMark),
    tagMarks: tagMarks.map(markOf),
    rule,
    watermark: watermark === null ? null : watermarkOf(watermark),
  };
}

function markOf(text: string | null): Mark | null {
  return text === null || text === '' || text === '-' ? null : parseMark(text);
}

function watermarkOf([lsn, sourceEpoch, asOf]: readonly (string | null)[]): CellWatermark | null {
  if (lsn == null || sourceEpoch == null) return null;
  const { timeline } = JSON.parse(sourceEpoch) as SourceEpoch;
  return { timeline, lsn: lsnFromHex(lsn), asOfMs: Number(asOf ?? 0) };
}
