/** User and password of a URL, up to the last "@" of its word: a password may hold one, or a slash, or a quote, that nobody has escaped. */
const USER_INFO = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):(\S*)@/gi;
/** Parameters that hold a secret or may: libpq's passwords, and the settings that `options` hands to the server. */
const PARAMETER = /([?&](?:(?:ssl)?password|passphrase|passwd|pass|token|secret|options)=)[^\s&#"]*/gi;

/** Masks the password of every URL in a text: `postgres://app:***@db/shop`. What only may be one is masked too. */
export function redactUrls(text: string): string {
  return text.replace(USER_INFO, '$1:***@').replace(PARAMETER, '$1***');
}
