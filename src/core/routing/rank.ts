import type { RouteCandidate } from './candidates.ts';
import type { Standing } from './circuit.ts';

/**
 * Puts the candidates of a call into the order of trial by their weights. `draw` is one random number from [0, 1); the same draw gives the
 * same order.
 *
 * Where no upstream has a weight, they stay in the order in which the model declares them. As soon as one has, those without count as 1:
 * the first is drawn by weight, the second from the rest, and so on, so that the share of a failing upstream falls to the others by their
 * weights. Those of weight 0 come last, as declared: they are for fallback only.
 */
export function rankCandidates(candidates: readonly RouteCandidate[], draw: number): readonly RouteCandidate[] {
  if (candidates.length < 2 || candidates.every(({ weight }) => weight === null)) return candidates;
  const left = candidates.filter((candidate) => weightOf(candidate) > 0);
  const ranked: RouteCandidate[] = [];
  let rest = draw;
  let total = left.reduce((sum, candidate) => sum + weightOf(candidate), 0);
  while (left.length > 0) {
    let point = rest * total;
    let index = 0;
    while (index < left.length - 1 && point >= weightOf(left[index])) {
      point -= weightOf(left[index]);
      index += 1;
    }
    const [chosen] = left.splice(index, 1);
    if (chosen === undefined) break;
    ranked.push(chosen);
    // Where in the chosen one's share the draw fell is uniform again, and independent of who was chosen: it is the next draw.
    rest = Math.min(Math.max(point / weightOf(chosen), 0), 1 - Number.EPSILON);
    total -= weightOf(chosen);
  }
  return [...ranked, ...candidates.filter((candidate) => weightOf(candidate) === 0)];
}

const weightOf = (candidate: RouteCandidate | undefined): number => candidate?.weight ?? 1;

/**
 * Puts behind those in good standing the upstreams that asked for a pause, and behind these the ones whose circuit is open; among both the
 * one that is back soonest goes first. Otherwise the order stays. Nobody is left out: what may be tried is decided at the trial itself.
 */
export function orderByStanding(
  candidates: readonly RouteCandidate[],
  standingOf: (candidate: RouteCandidate) => Standing,
): readonly RouteCandidate[] {
  if (candidates.length < 2) return candidates;
  const placed = candidates.map((candidate) => ({ candidate, standing: standingOf(candidate) }));
  if (placed.every(({ standing }) => GROUPS[standing.kind] === 0)) return candidates;
  return placed
    .toSorted((a, b) => GROUPS[a.standing.kind] - GROUPS[b.standing.kind] || a.standing.backInMs - b.standing.backInMs)
    .map(({ candidate }) => candidate);
}

const GROUPS: Readonly<Record<Standing['kind'], number>> = { good: 0, resting: 1, open: 2 };
