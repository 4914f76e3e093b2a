/** A value of family `user`, as its `source` gives it: `bigint` is text, so that every digit is kept. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly org_id: string;
}
