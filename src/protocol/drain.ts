/** Who takes nothing new any more: GOAWAY, said and heard. */
export class Drain {
  /** This side drains. */
  own = false;
  /** GOAWAY is to be written: when the drain begins, and on every socket that follows. */
  isDue = false;
  /** The owner of the connection knows that nothing is left. */
  isTold = false;
  /** The other side drains. */
  theirs = false;
}
