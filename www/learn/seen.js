/** Whether the visitor wants nothing to move that was not asked to. */
export const calm = matchMedia('(prefers-reduced-motion: reduce)');
