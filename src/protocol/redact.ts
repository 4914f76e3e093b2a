/** User and password of a URL, up to the last "@" of its word: a password may hold one, or a slash, that nobody has escaped. */
const USER_INFO = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/"']*):([^\s"']*)@/gi;
const PARAMETER = /([?&](?:ssl)?password=)[^\s&#"']*/gi;

/** Masks the password of every URL in a text: `postgres://app:***@db/shop`. What only may be one is masked too. */
export function redactUrls(text: string): string {
  return text.replace(USER_INFO, '$1:***@').replace(PARAMETER, '$1***');
}
