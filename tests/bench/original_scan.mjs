// The original load generator's own slog pipeline on one file: `node original_scan.mjs CHECKOUT SLOG [--wired]`.
// Its line splitter, slog monitor and statistics, nothing else of it and no console; with --wired also the
// streams that its runner puts between splitter and monitor. Prints what it found as JSON.
// CHECKOUT is Agoric/testnet-load-generator of February 2022 with the packages of its runner/ installed.
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const [checkout, slog, wired] = process.argv.slice(2);
const load = name => import(pathToFileURL(path.resolve(checkout, 'runner/lib', name)).href);

await load('sdk/install-ses.js'); // first: the modules rely on the globals that it makes
const { default: BufferLineTransform } = await load('helpers/buffer-line-transform.js');
const { cleanAsyncIterable } = await load('tasks/helpers.js');
const { monitorSlog } = await load('monitor/slog-monitor.js');
const { makeStageStats } = await load('stats/stages.js');

const silent = () => {};
const stats = makeStageStats({ stageIdx: 0, stageConfig: {} });
let slogLines = createReadStream(slog).pipe(new BufferLineTransform());
if (wired) {
  slogLines = Readable.from(cleanAsyncIterable(slogLines)).pipe(new PassThrough({ objectMode: true }));
}
await monitorSlog(
  { slogLines },
  { stats, logPerfEvent: silent, console: { log: silent, warn: silent, error: silent } },
);
const blocks = Object.values(stats.blocks);
const sum = name => blocks.reduce((total, block) => total + (block[name] ?? 0), 0);
process.stdout.write(
  JSON.stringify({ blocks: blocks.length, deliveries: sum('deliveries'), computrons: sum('computrons') }),
);
