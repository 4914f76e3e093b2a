import { answeredSqlState } from '../../protocol/sqlstate.ts';

/**
 * Classes that Postgres has itself (Appendix A of its manual, "PostgreSQL Error Codes"). What is of no class of these was raised by a trigger, with a code of
 * its author's.
 */
const OWN_CLASSES = new Set(
  '00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 72 F0 HV P0 XX'.split(
    ' ',
  ),
);

/**
 * Data (22), integrity (23), a view's check option (44), a trigger in PL/pgSQL (P0), an index entry that is too large (54000); and two rows of a batch that are one row
 * of the table (21000), as two numerics are that a column rounds: apart they are written one after the other.
 */
const ROW_FAULT = /^(?:2[123]|44|P0|54000)/;

/** Whether a row is at fault, and would be the next time: without it the others can be written. */
export function isRowFault(error: unknown): boolean {
  const state = answeredSqlState(error);
  return state !== undefined && (ROW_FAULT.test(state) || !OWN_CLASSES.has(state.slice(0, 2)));
}

/** A column that is not there (42703) or of another type (42804, 42883), a unique index that is not there (42P10). */
export function isColumnFault(error: unknown): boolean {
  return /^42(?:703|804|883|P10)/.test(answeredSqlState(error) ?? '');
}
