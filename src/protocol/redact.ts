const PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):([^\s@/]*)@/gi;

/** Masks the password of every URL in a text: `postgres://app:***@db/shop`. */
export function redactUrls(text: string): string {
  return text.replace(PASSWORD, '$1:***@');
}
