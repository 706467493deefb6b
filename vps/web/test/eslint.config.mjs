import js from "@eslint/js";

const browser = Object.fromEntries(["window", "document", "location", "history", "localStorage", "navigator", "fetch", "setTimeout", "clearTimeout", "setInterval", "requestAnimationFrame",
  "queueMicrotask", "addEventListener", "removeEventListener", "dispatchEvent", "matchMedia", "getComputedStyle", "devicePixelRatio", "customElements", "performance", "scrollTo", "innerHeight",
  "HTMLElement", "ResizeObserver", "MutationObserver", "Event", "CustomEvent", "AbortController", "TextDecoder", "URL", "URLSearchParams", "Blob", "console", "process", "innerWidth", "FormData", "getSelection"].map((n) => [n, "readonly"]));

export default [js.configs.recommended, { files: ["**/*.js", "**/*.mjs"], languageOptions: { ecmaVersion: 2020, sourceType: "module", globals: browser },
  rules: { eqeqeq: "error", "no-var": "error", "prefer-const": "error", "no-restricted-syntax": ["error",
    { selector: "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML)$/]", message: "Trusted Types forbid it: use html``." }] } },
{ files: ["**/test/**", "**/dev/**"], languageOptions: { ecmaVersion: 2024, globals: { Buffer: "readonly", WebSocket: "readonly" } }, rules: { "no-restricted-syntax": "off" } }];
