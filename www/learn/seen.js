/** Parts that begin by themselves. */

export const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Calls `act` once, when a good piece of `part` is in view; never for those who want no motion they did not ask for. */
export function whenSeen(part, act) {
  if (calm.matches) return;
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    observer.disconnect();
    act();
  }, { rootMargin: '-30% 0px' });
  observer.observe(part);
}
