import type { Writable } from 'node:stream';

/** Shows a block of lines: on a terminal in place, into a pipe as plain lines now and then. */
export class LiveBlock {
  readonly #out: Writable & { readonly isTTY?: boolean };
  #shown = 0;

  constructor(out: Writable & { readonly isTTY?: boolean }) {
    this.#out = out;
  }

  get isLive(): boolean {
    return this.#out.isTTY === true;
  }

  show(lines: readonly string[]): void {
    // ESC [ n A: cursor up n lines; ESC [ 0 J: clear to the end of the screen (ECMA-48).
    if (this.isLive && this.#shown > 0) this.#out.write(`\u001b[${this.#shown}A\u001b[0J`);
    this.#out.write(`${lines.join('\n')}\n`);
    this.#shown = lines.length;
  }
}
