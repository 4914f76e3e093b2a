import { hash } from 'node:crypto';

/** 132 bits. */
const TAG_CHARACTERS = 22;

/** A strong validator: the same bytes have the same tag in every process and region, and others another. */
export function entityTagOf(body: Uint8Array): string {
  return `"${hash('sha256', body, 'base64url').slice(0, TAG_CHARACTERS)}"`;
}

interface EntityTag {
  readonly isWeak: boolean;
  readonly opaque: string;
}

/** RFC 9110, 8.8.3 and 5.6.1.2: an element of a list may be empty, and a comma may stand in a tag. Linear in whatever is sent. */
const ELEMENT = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y;

/** The tags of a field; undefined where it is no list of them. Throws nothing. */
function tagsOf(field: string): EntityTag[] | undefined {
  const tags: EntityTag[] = [];
  for (let at = 0; at < field.length; at = ELEMENT.lastIndex) {
    ELEMENT.lastIndex = at;
    const [, weak, opaque] = ELEMENT.exec(field) ?? [undefined, undefined, 'none'];
    if (opaque === 'none') return undefined;
    if (opaque !== undefined) tags.push({ isWeak: weak !== undefined, opaque });
  }
  return tags;
}

const isAny = (field: string): boolean => /^[ \t]*\*[ \t]*$/.test(field);

/**
 * Whether what is there is what the client has already: RFC 9110, 13.1.2, by the weak comparison. What cannot be read matches nothing: then the body is
 * sent, which is never wrong.
 */
export function isNoneMatched(ifNoneMatch: string, entityTag: string): boolean {
  return isAny(ifNoneMatch) || (tagsOf(ifNoneMatch)?.some(({ opaque }) => opaque === entityTag) ?? false);
}

/** Whether what is there is what the client asks for: RFC 9110, 13.1.1, by the strong comparison. */
export function isMatched(ifMatch: string, entityTag: string): boolean {
  return isAny(ifMatch) || (tagsOf(ifMatch)?.some(({ isWeak, opaque }) => !isWeak && opaque === entityTag) ?? false);
}
