/** The page's elements, and how figures are shown. */

/** The element of that id. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element ${id}`);
  return found as T;
}

export const show = (id: string, text: string): void => { element(id).textContent = text; };
export const whole = (x: number): string => Math.round(x).toLocaleString("en");
export const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
export const time = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** A slider over powers of ten; tells the number it stands for. */
export function rateSlider(id: string, changed: (rate: number) => void): { get(): number; set(rate: number): void } {
  const slider = element<HTMLInputElement>(id);
  const get = (): number => Number((10 ** Number(slider.value)).toPrecision(2));
  const label = (): void => {
    show(`${id}-value`, String(get()));
    slider.setAttribute("aria-valuetext", String(get()));
  };
  slider.oninput = () => {
    label();
    changed(get());
  };
  const set = (rate: number): void => {
    slider.value = String(Math.log10(rate));
    label();
  };
  label();
  return { get, set };
}

/** Sends the next only when the last is a frame old: pointers tell more than a frame shows. */
export function perFrame(act: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      act();
    });
  };
}
