import { createRequire } from 'node:module';

/** The one version whose fault this mends. kafkajs is frozen, so another version has to be looked at before it is used. */
const PATCHED_VERSION = '2.2.4';

interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

const CHECK_PENDING_MS = 10;
let isPatched = false;

/**
 * kafkajs looks for throttled requests by a timer that re-arms itself for ever, with a negative delay, which is a millisecond: an idle
 * connection wakes the process a thousand times a second, and Node 24 prints a warning (tulios/kafkajs, issue 1556). Here the timer is armed
 * only while something is pending. Throws if the version is not the known one.
 */
export function patchTimers(): void {
  if (isPatched) return;
  const require = createRequire(import.meta.url);
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version !== PATCHED_VERSION)
    throw new Error(
      `kafkajs ${version} is not ${PATCHED_VERSION}, whose timer is patched: look at its request queue first.`,
    );
  const queue = require('kafkajs/src/network/requestQueue') as { prototype: RequestQueue };
  queue.prototype.scheduleCheckPendingRequests = function schedule(this: RequestQueue): void {
    if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
    const throttledMs = this.throttledUntil - Date.now();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      throttledMs > 0 ? throttledMs : CHECK_PENDING_MS,
    );
  };
  isPatched = true;
}
