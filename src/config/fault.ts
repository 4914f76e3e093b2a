/** Something wrong in the user's file: where, and what would be right. */
export interface Fault {
  readonly file: string;
  /** From 1; 0 where no line can be named. */
  readonly line: number;
  /** Keys joined by dots, such as `families.user.ttl`. Empty for the whole file. */
  readonly path: string;
  readonly message: string;
}

/** `file:line path: message`. */
export function printFault({ file, line, path, message }: Fault): string {
  return `${file}${line > 0 ? `:${line}` : ''}${path === '' ? '' : ` ${path}`}: ${message}`;
}
