/** The agent of leaktrace. Every function does nothing where the program is not traced. */
export interface Leaktrace {
  /** Begins a run phase (`warmup`, `load`, `settle` or any name), which lasts until the next one. Forces a full collection first. */
  phase(name: string): void;
  /** Forces a full garbage collection and notes it in the trace. */
  gc(): void;
  /** Puts a note on the trace's timeline. */
  note(text: string): void;
}
export const phase: Leaktrace['phase'];
export const gc: Leaktrace['gc'];
export const note: Leaktrace['note'];
declare global {
  // eslint-disable-next-line no-var
  var leaktrace: Leaktrace | undefined;
}
