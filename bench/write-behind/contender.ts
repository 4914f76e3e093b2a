/** What a measuring process is told. */
export interface CallerWish {
  readonly file: string;
  readonly cacheRedis: string;
  readonly bufferRedis: string;
  readonly keys: number;
  readonly seed: number;
  readonly callers: number;
  readonly together: number;
  readonly windowMs: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface Contender {
  readonly name: string;
  readonly title: string;
  /** Calls at a time: as many as the contender's own rate can serve within some windows, else only its queue is measured. */
  readonly callers: number;
}

export const CONTENDERS: readonly Contender[] = [
  { name: 'afterwrite', title: 'afterwrite', callers: 1200 },
  { name: 'bullmq-each', title: 'bullmq, a job an increment (addBulk)', callers: 40 },
  { name: 'bullmq-window', title: 'bullmq, a job a window, added up by the application', callers: 1200 },
];
