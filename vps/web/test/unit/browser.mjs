// As much of a browser as the modules need to be loaded: what is tested here draws nothing.
globalThis.HTMLElement = class {};
globalThis.document = { createTreeWalker: () => ({}), createComment: () => ({}), getElementById: () => null };
globalThis.addEventListener = () => {};
