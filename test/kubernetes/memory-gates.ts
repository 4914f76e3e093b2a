import type { GateAnswer, RegionGates, StandingGate } from '../../src/controller/region-gates.ts';

/** Gates that a test sets. */
export class MemoryGates implements RegionGates {
  readonly #gates = new Map<string, GateAnswer>();
  beforeOpen: () => void = () => undefined;
  readonly opened: { readonly region: string; readonly epoch: string }[] = [];

  set(region: string, epoch: string, state: StandingGate['state'], more: Partial<StandingGate> = {}): void {
    const share = state === 'WARM' ? 1 : 0;
    this.#gates.set(region, { kind: 'gate', epoch, state, share, admit: share, reason: '', sinceMs: 0, ...more });
  }

  answer(region: string, answer: GateAnswer): void {
    this.#gates.set(region, answer);
  }

  read(region: string): Promise<GateAnswer> {
    return Promise.resolve(this.#gates.get(region) ?? { kind: 'absent' });
  }

  open(region: string, epoch: string): Promise<'ok' | 'moved'> {
    this.beforeOpen();
    const gate = this.#gates.get(region);
    if (gate?.kind !== 'gate' || gate.epoch !== epoch) return Promise.resolve('moved');
    this.opened.push({ region, epoch });
    this.set(region, epoch, 'WARM', { share: gate.share, admit: 1 });
    return Promise.resolve('ok');
  }
}
