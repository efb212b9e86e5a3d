/** Every path below this belongs to the surface, and its errors have the surface's form. */
export const TINFOIL_PREFIX = '/api';
