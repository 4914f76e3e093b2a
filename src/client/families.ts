/**
 * The families of the application's file, by name. Empty here: `afterwrite config types` writes a file that fills it in, so that
 * `cache.family('user')` knows its parameters and its value.
 *
 *     declare module 'afterwrite' {
 *       interface Families { user: { params: { id: string }; value: { id: string; name: string } } }
 *     }
 */
// oxlint-disable-next-line typescript/no-empty-object-type -- filled in by the application
export interface Families {}

export type FamilyValue<N extends keyof Families> = Families[N] extends { readonly value: infer T } ? T : unknown;
export type FamilyParams<N extends keyof Families> = Families[N] extends { readonly params: infer P extends object }
  ? P
  : object;
