import { z } from 'zod';
import { DURATION, DURATION_MAX_MS, DURATION_OR_ZERO, durationMs, durationOrZeroMs } from './duration.ts';
import { SIZE, sizeBytes } from './size.ts';
import { SHARE, shareOf } from './share.ts';

// The kinds of value in the user's file. `what` is a noun phrase: it stands in the fault ("… is expected") and in the manual.

export const text = (what: string) =>
  z
    .string({ error: `${what} is expected` })
    .min(1, `${what} is expected, not an empty text`)
    .describe(what);

/** A text of a given form. The form's message says what would be right. */
export const formed = (what: string, form: RegExp, expected: string) =>
  z
    .string({ error: `${what} is expected: ${expected}` })
    .regex(form, `${what} is expected: ${expected}`)
    .describe(what);

/** A name that becomes a metric's label, a part of Redis keys, a consumer's name. */
export const name = (what: string) =>
  formed(
    what,
    /^[a-z][a-z0-9_-]{0,40}$/,
    'lower-case letters, digits, "_" and "-", beginning with a letter, 41 at most',
  );

export const duration = (what: string) =>
  z
    .string({ error: ({ input }) => `${what} is expected, ${asDuration(input)}` })
    .regex(DURATION, { error: ({ input }) => `${what} is expected, ${asDuration(input)}` })
    .refine((value) => !DURATION.test(value) || (durationMs(value) > 0 && durationMs(value) <= DURATION_MAX_MS), {
      error: `${what} is expected, above 0 and at most ${DURATION_MAX_MS / 86_400_000}d`,
    })
    .describe(what);

/** A duration, or 0 for not at all. */
export const durationOrZero = (what: string) => {
  const error = ({ input }: { readonly input: unknown }): string => `${what} is expected, ${asDuration(input)}; or 0`;
  return z
    .preprocess((input) => (input === 0 ? '0' : input), z.string({ error }).regex(DURATION_OR_ZERO, { error }))
    .refine((value) => !DURATION_OR_ZERO.test(value) || durationOrZeroMs(value) <= DURATION_MAX_MS, {
      error: `${what} is expected, at most ${DURATION_MAX_MS / 86_400_000}d`,
    })
    .describe(what);
};

function asDuration(input: unknown): string {
  const number = typeof input === 'number' || (typeof input === 'string' && /^[\d.]+$/.test(input)) ? input : undefined;
  return number === undefined
    ? 'a number with its unit: 250ms, 30s, 5m, 72h, 1d'
    : `and ${number} has no unit: ${number}s, ${number}m or ${number}ms would have one`;
}

/** Takes the digits as text too: that is what a variable of the environment holds. */
export const count = (what: string, max: number) => {
  const error = `${what} is expected: a whole number from 1 to ${max}`;
  return z
    .preprocess(
      (input) => (typeof input === 'string' && /^[0-9]{1,15}$/.test(input) ? Number(input) : input),
      z.int({ error }).min(1, error).max(max, error),
    )
    .describe(what);
};

/** Takes the digits as text too: that is what a variable of the environment holds. */
export const factor = (what: string, max: number) => {
  const error = `${what} is expected: a number from 0 to ${max}`;
  return z
    .preprocess(
      (input) => (typeof input === 'string' && /^[0-9]{1,3}(?:\.[0-9]{1,3})?$/.test(input) ? Number(input) : input),
      z.number({ error }).min(0, error).max(max, error),
    )
    .describe(what);
};

export const size = (what: string, maxBytes: number) => {
  const error = `${what} is expected, a number with its unit: 512b, 2kb, 1mb`;
  return z
    .string({ error })
    .regex(SIZE, error)
    .refine((value) => !SIZE.test(value) || (sizeBytes(value) > 0 && sizeBytes(value) <= maxBytes), {
      error: `${what} is expected, above 0 and at most ${maxBytes / 1_048_576}mb`,
    })
    .describe(what);
};

/** A share as `10%`, or 0 for none. A fraction alone would be a share to one reader and per cent to the next. */
export const share = (what: string, maxPercent: number) => {
  const error = `${what} is expected: from 0% to ${maxPercent}%, such as 10%, or 0`;
  return z
    .preprocess((input) => (input === 0 ? '0' : input), z.string({ error }).regex(SHARE, error))
    .refine((value) => !SHARE.test(value) || shareOf(value) <= maxPercent / 100, { error })
    .describe(what);
};

/** Takes the words as text too: that is what a variable of the environment holds. */
export const flag = (what: string) =>
  z
    .preprocess(
      (input) => (input === 'true' ? true : input === 'false' ? false : input),
      z.boolean({ error: 'true or false is expected' }),
    )
    .describe(what);

export const postgresUrl = (what: string) => url(what, /^postgres(?:ql)?:\/\//, 'postgres://user@host:5432/database');
export const redisUrl = (what: string) =>
  url(what, /^rediss?:\/\//, 'redis://host:6379, or rediss:// for a connection by TLS');

/** The faults never show the URL: it may hold a password. */
function url(what: string, scheme: RegExp, example: string) {
  const error = `${what} is expected, such as ${example}`;
  return z
    .string({ error })
    .regex(scheme, error)
    .refine((value) => !scheme.test(value) || hasPlace(value), {
      error: `${error}; this one cannot be read (a password’s special characters are written as %XX)`,
    })
    .describe(what);
}

/** A host, or, for Postgres, the folder of its socket. A blank would end the password for whoever masks it. */
function hasPlace(value: string): boolean {
  if (!URL.canParse(value) || /\s/.test(value)) return false;
  const { hostname, searchParams } = new URL(value);
  return hostname !== '' || searchParams.has('host');
}
