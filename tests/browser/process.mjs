// What tests ask of `process`, in a page: esbuild puts it where they name it, so that the library sees none.
export const process = { cwd: () => "", env: {}, execPath: "" };
