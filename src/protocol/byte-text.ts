/**
 * Bytes as a text of one character each, 0 to 255 ("latin1"). So a value of any codec is a string on its way, like everything else that scripts and
 * slots hold, and costs no more to read than UTF-8 does.
 */
const ANY_HIGH = /[\u0080-\uffff]/;

/** A text’s UTF-8, a character each byte. Of ASCII it is the text itself. */
export function toByteText(text: string): string {
  return ANY_HIGH.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** The text whose UTF-8 the bytes are. */
export function fromByteText(bytes: string): string {
  return ANY_HIGH.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

/** What is sent: a string is sent as UTF-8. */
export function bytesOf(bytes: string): string | Buffer {
  return ANY_HIGH.test(bytes) ? Buffer.from(bytes, 'latin1') : bytes;
}
