/** The memory that all connections of this thread may hold together. */
import { getHeapStatistics } from 'node:v8';
import { ThreadBudget } from '../../protocol/index.js';
import { checkInteger } from './checks.js';
import { microtask } from './runtime.js';

/** The options that the budget follows. */
interface MemoryOptions {
  readonly memoryLimit?: number | undefined;
  /** A test's budget, instead of that of the thread. */
  readonly budget?: ThreadBudget | undefined;
}

/**
 * Returns the budget of the thread, with the limit that the options ask for. The newest `memoryLimit` counts. Without
 * one, the limit is a quarter of V8's heap limit, or the largest `connectionWindow` if that is more.
 *
 * @throws IC_ERR_OPTION naming `memoryLimit`, its value and its range: a connection must be able to fill its window.
 */
export function budgetFor(
  { memoryLimit, budget = shared }: MemoryOptions,
  window: number,
): ThreadBudget {
  if (memoryLimit !== undefined) {
    budget.limit = checkInteger('memoryLimit', memoryLimit, window, MOST);
    chosen.add(budget);
  } else if (!chosen.has(budget) && budget.limit < window) {
    budget.limit = window;
  }
  return budget;
}

/** Makes a budget that frees memory as soon as the running code has ended. */
export function createBudget(limit: number): ThreadBudget {
  const budget = new ThreadBudget(limit);
  budget.effects = { exceeded: () => microtask(() => budget.freeMemory()) };
  return budget;
}

const MOST = 2 ** 40;
const shared = createBudget(Math.floor(getHeapStatistics().heap_size_limit / 4));
/** The budgets whose limit an option has set. */
const chosen = new WeakSet<ThreadBudget>();
