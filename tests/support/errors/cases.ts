/** What a user can do wrong: each case gives one error. tests/engine/errors.test.ts collects their sentences. */
export interface Cases {
  readonly title: string;
  readonly cases: readonly (() => unknown)[];
}

export const group = (title: string, cases: readonly (() => unknown)[]): Cases => ({ title, cases });
