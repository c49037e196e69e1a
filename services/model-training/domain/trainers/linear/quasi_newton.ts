/** A smooth convex function, to which `l1` times the magnitudes of some parameters is added. */
export interface SmoothFunction {
  /** The value at the parameters; writes the gradient. */
  evaluate(parameters: Float64Array, gradient: Float64Array): number;
  /** Divides by an estimate of the second derivatives, in place: with L1, of each parameter alone. */
  precondition(vector: Float64Array): void;
}

export interface MinimiseOptions {
  /** By parameter. */
  l1: Float64Array;
  /** A step that promises less than this part of the value is the last. */
  tolerance: number;
  maxIterations: number;
  onIteration?: (iteration: number, value: number) => void;
}

export interface Minimum {
  parameters: Float64Array;
  iterations: number;
  hasConverged: boolean;
}

/** Steps that are remembered (Nocedal and Wright, "Numerical optimization", 7.2: 3 to 20). */
const MEMORY = 10;
/** Part of the promised decrease that a step must keep (Nocedal and Wright, 3.1). */
const SUFFICIENT_DECREASE = 1e-4;
const MAX_HALVINGS = 50;

/**
 * Limited-memory BFGS (Liu and Nocedal, "On the limited memory BFGS method", 1989), which begins with an estimate of the
 * curvature in place of a multiple of the identity. With L1, steps stay in the orthant that the slope points to, and
 * parameters that would leave it become 0, as in OWL-QN (Andrew and Gao, "Scalable training of L1-regularized log-linear
 * models", 2007), but with two metrics (Schmidt, Fung and Rosales, "Fast optimization methods for L1 regularization: a
 * comparative study and two new approaches", 2007).
 */
export function minimise(problem: SmoothFunction, start: Float64Array, options: MinimiseOptions): Minimum {
  const { l1, tolerance, maxIterations, onIteration } = options;
  const hasL1 = l1.some((penalty) => penalty > 0);
  const penaltyOf = (at: Float64Array) =>
    hasL1 ? at.reduce((sum, value, i) => sum + l1[i]! * Math.abs(value), 0) : 0;
  let point = start;
  let gradient: Float64Array = new Float64Array(start.length);
  let value = problem.evaluate(point, gradient) + penaltyOf(point);
  const memory: Pair[] = [];
  for (let iteration = 1; iteration <= maxIterations; iteration++) {
    const slope = hasL1 ? steepestSlope(point, gradient, l1) : gradient;
    const direction = hasL1
      ? twoMetrics(slope, memory, problem, (i) => l1[i]! > 0 && point[i] === 0)
      : twoLoops(slope, memory, problem);
    for (let i = 0; i < direction.length; i++) direction[i] = -direction[i]!;
    const promised = -dot(direction, slope);
    onIteration?.(iteration, value);
    const move = { slope, direction, l1 };
    // Taken on trust: to look at what so little has brought would be one more pass over the rows.
    if (promised <= tolerance * Math.max(1, Math.abs(value))) {
      return { parameters: moved(point, 1, move), iterations: iteration, hasConverged: true };
    }
    let next = point;
    let step = point;
    const nextGradient = new Float64Array(point.length);
    // What rounding can do to a sum over the rows is no reason to halve.
    const slack = 1e-15 * Math.max(1, Math.abs(value));
    let nextValue = NaN;
    let length = 1;
    for (let halving = 0; halving <= MAX_HALVINGS; halving++) {
      next = moved(point, length, move);
      step = difference(next, point);
      nextValue = problem.evaluate(next, nextGradient) + penaltyOf(next);
      if (nextValue <= value + SUFFICIENT_DECREASE * dot(slope, step) + slack) break;
      length /= 2;
    }
    if (!(nextValue < value)) {
      // No step lowers the value any more: what is left is rounding, unless the memory has led astray.
      if (memory.length === 0) return { parameters: point, iterations: iteration, hasConverged: true };
      memory.length = 0;
      continue;
    }
    remember(memory, step, difference(nextGradient, gradient));
    point = next;
    gradient = nextGradient;
    value = nextValue;
  }
  return { parameters: point, iterations: maxIterations, hasConverged: false };
}

interface Move {
  slope: Float64Array;
  direction: Float64Array;
  l1: Float64Array;
}

/** Of the parameters with a penalty, those that would leave the orthant that the slope points to become 0. */
function moved(point: Float64Array, length: number, { slope, direction, l1 }: Move): Float64Array {
  return point.map((value, i) => {
    const next = value + length * direction[i]!;
    const orthant = value !== 0 ? Math.sign(value) : -Math.sign(slope[i]!);
    return l1[i]! > 0 && next * orthant < 0 ? 0 : next;
  });
}

/** A step, how the gradient changed along it, and one over their product. */
interface Pair {
  step: Float64Array;
  change: Float64Array;
  inverse: number;
}

function remember(memory: Pair[], step: Float64Array, change: Float64Array): void {
  const product = dot(step, change);
  if (!(product > 1e-16 * dot(change, change))) return;
  memory.push({ step, change, inverse: 1 / product });
  if (memory.length > MEMORY) memory.shift();
}

/** The inverse of the curvature times the slope (Nocedal and Wright, algorithm 7.4). */
function twoLoops(slope: Float64Array, memory: readonly Pair[], problem: SmoothFunction): Float64Array {
  const vector = slope.slice();
  const shares = memory.map(() => 0);
  for (let i = memory.length - 1; i >= 0; i--) {
    const { step, change, inverse } = memory[i]!;
    shares[i] = inverse * dot(step, vector);
    add(vector, change, -shares[i]!);
  }
  problem.precondition(vector);
  memory.forEach(({ step, change, inverse }, i) => {
    add(vector, step, shares[i]! - inverse * dot(change, vector));
  });
  return vector;
}

/**
 * The same, where parameters that are held at 0 leave it along their own slope: with the others, they could be sent to
 * the side where the loss rises.
 */
function twoMetrics(
  slope: Float64Array,
  memory: readonly Pair[],
  problem: SmoothFunction,
  isHeld: (parameter: number) => boolean,
): Float64Array {
  const ofFree = (vector: Float64Array) => vector.map((value, i) => isHeld(i) ? 0 : value);
  const free: Pair[] = [];
  for (const { step, change } of memory) remember(free, ofFree(step), ofFree(change));
  const together = twoLoops(ofFree(slope), free, problem);
  const alone = slope.slice();
  problem.precondition(alone);
  return together.map((value, i) => isHeld(i) ? alone[i]! : value);
}

/** The subgradient of least magnitude. */
function steepestSlope(point: Float64Array, gradient: Float64Array, l1: Float64Array): Float64Array {
  return gradient.map((slope, i) => {
    const penalty = l1[i]!;
    if (point[i]! !== 0) return slope + penalty * Math.sign(point[i]!);
    if (slope > penalty) return slope - penalty;
    return slope < -penalty ? slope + penalty : 0;
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function add(target: Float64Array, vector: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! + factor * vector[i]!;
}

const difference = (a: Float64Array, b: Float64Array) => a.map((value, i) => value - b[i]!);
