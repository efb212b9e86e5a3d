/** A value that survives JSON and a structured clone unchanged. */
export type PlainJson = string | number | boolean | null | readonly PlainJson[] | { readonly [name: string]: PlainJson };
