/** What a check says: ready, or why not. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly why: string };

export const READY: Readiness = { ready: true };

export function notReady(why: string): Readiness {
  return { ready: false, why };
}

export interface HealthReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, Readiness>>;
}

/** The readiness of a process: all of its checks, until it begins to drain. */
export class Health {
  readonly #checks = new Map<string, () => Readiness>();
  #isDraining = false;

  register(name: string, check: () => Readiness): void {
    this.#checks.set(name, check);
  }

  drain(): void {
    this.#isDraining = true;
  }

  report(): HealthReport {
    const checks = Object.fromEntries(
      [...this.#checks].map(([name, check]) => [name, this.#isDraining ? notReady('the process is ending') : check()]),
    );
    return { ready: !this.#isDraining && Object.values(checks).every((check) => check.ready), checks };
  }
}
