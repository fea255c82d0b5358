// Waiting: for a while, by name; and before one tries again.

/** Timers by name: one that is set anew replaces the one before. */
export class Timers {
  #running = new Map();

  after(name, wait, act) {
    this.clear(name);
    const timer = setTimeout(() => {
      this.#running.delete(name);
      act();
    }, wait);
    this.#running.set(name, timer);
  }

  has(name) {
    return this.#running.has(name);
  }

  clear(...names) {
    for (const name of names) {
      clearTimeout(this.#running.get(name));
      this.#running.delete(name);
    }
  }

  /** Clears all but those named. */
  clearAll(...but) {
    this.clear(...[...this.#running.keys()].filter((name) => !but.includes(name)));
  }
}

/** How long to wait before the next try (ms): longer each time, and spread. */
export class Backoff {
  #tries = 0;
  #first;
  #most;

  constructor(first = 250, most = 8000) {
    this.#first = first;
    this.#most = most;
  }

  next() {
    const wait = Math.min(this.#first * 2 ** this.#tries, this.#most);
    this.#tries += 1;
    // Not all who have lost a server come back to it at the same moment.
    return wait * (0.5 + Math.random());
  }

  reset() {
    this.#tries = 0;
  }
}
