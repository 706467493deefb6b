// Ours: the types of what the page uses of lit-html.js.
export type Template = object;
export function html(strings: TemplateStringsArray, ...values: unknown[]): Template;
export function svg(strings: TemplateStringsArray, ...values: unknown[]): Template;
export const nothing: unique symbol;
export function render(value: unknown, container: HTMLElement): void;
