/** Two views, of which one is seen; each starts when it is first seen, and pauses when it is left. */
import { digitsView } from "./digits.js";
import { element } from "./dom.js";
import { textView } from "./text.js";

const views = { digits: digitsView, text: textView } as const;
type Name = keyof typeof views;
const pauses = new Map<Name, () => void>();

function turnTo(seen: Name): void {
  for (const name of Object.keys(views) as Name[]) {
    element(`${name}-view`).hidden = name !== seen;
    const link = document.querySelector(`nav a[href="#${name}"]`)!;
    if (name === seen) link.setAttribute("aria-current", "page");
    else {
      link.removeAttribute("aria-current");
      pauses.get(name)?.();
    }
  }
  if (!pauses.has(seen)) pauses.set(seen, views[seen]());
}

const named = (): Name => (location.hash === "#text" ? "text" : "digits");
addEventListener("hashchange", () => turnTo(named()));
turnTo(named());
