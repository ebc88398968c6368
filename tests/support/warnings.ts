/** What is warned of while a test runs. */
import type { Test } from "uvu";

/** Keeps warnings from the console and gives those of the test that runs. */
export function warningsOf(test: Test): string[] {
  const warnings: string[] = [];
  const { warn } = console;
  test.before.each(() => {
    warnings.length = 0;
    console.warn = (text: string) => { warnings.push(text); };
  });
  test.after.each(() => { console.warn = warn; });
  return warnings;
}
