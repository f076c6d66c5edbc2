// Sends predictions and their labels to Calidris with the OpenTelemetry SDK alone. Copy this file into your service.
//
//   const calidris = new Calidris();
//   const credit = { name: 'credit', version: '7', task: 'binary' };
//   calidris.recordPrediction(credit, { id: '5f0c', score: 0.83, features: { income: 52000, land: 'at' } });
//   calidris.recordLabel(credit, '5f0c', 1);          // any time later, from any process
//   await calidris.shutdown();                        // on SIGTERM: sends what waits, and says what became of it
//
// The promise: recorded = acknowledged + lost + waiting, in rows, at any time (see `counts`). Nothing here throws into
// the caller or waits for the network.

import { SpanStatusCode } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { AlwaysOnSampler, BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { setTimeout as sleep } from 'node:timers/promises';

// The SDK's own 2048 lose most of a burst: one turn of the event loop can record any number of spans before the first
// request leaves. At 1 to 2 KB a span with a dozen features, a full queue holds 130 MB.
const SPANS_WAITING = 65_536;
const SPANS_PER_REQUEST = 128;

// Of a packed span. 128 of them in a request stay far below the receiver's 64 MiB and its million values.
const ROWS_PER_SPAN = 512;
const VALUES_PER_SPAN = 4096;
const CHARACTERS_PER_SPAN = 256 * 1024;

// How long a request is tried again while the receiver restarts. The exporter by itself gives up after five tries, 13 s.
const REQUEST_MS = 30_000;
const PAUSE_MS = 1000;
const WARN_EVERY_MS = 10_000;

export class Calidris {
  #exporter;
  #provider;
  #tracer;
  #closed = false;

  constructor({ url = 'http://127.0.0.1:4328/v1/traces', headers = {}, spansWaiting = SPANS_WAITING } = {}) {
    this.#exporter = new CountingExporter(new OTLPTraceExporter({ url, headers, timeoutMillis: REQUEST_MS }), spansWaiting);
    // A provider of its own, never registered as the global one: the application's sampler, queue and limits stay what
    // they are, and so do ours, whatever OTEL_TRACES_SAMPLER, OTEL_BSP_* and OTEL_SPAN_ATTRIBUTE_* say.
    this.#provider = new NodeTracerProvider({
      // Not ParentBased: nine of ten predictions would go with the nine of ten traces that a head sampler of 10 % drops.
      sampler: new AlwaysOnSampler(),
      spanLimits: { attributeCountLimit: 128, attributeValueLengthLimit: Infinity },
      spanProcessors: [
        new BatchSpanProcessor(this.#exporter, {
          maxQueueSize: spansWaiting,
          maxExportBatchSize: SPANS_PER_REQUEST,
          scheduledDelayMillis: 1000,
          exportTimeoutMillis: 2 * REQUEST_MS,
        }),
      ],
    });
    this.#tracer = this.#provider.getTracer('calidris-node-client');
  }

  // One prediction. `row` has any of: id, score (a probability), value, class, features, slices, error (why it failed),
  // startTime (Date or ms, taken before the model was called, so that the span is as long as the call).
  // The span is a child of the active one, so that an alarm's example leads to the request's trace.
  recordPrediction(model, row) {
    this.#guard(1, () => {
      const columns = {
        'ml.prediction.id': row.id,
        'ml.prediction.score': row.score,
        'ml.prediction.value': row.value,
        'ml.prediction.class': row.class,
        'ml.features': row.features && JSON.stringify(row.features),
        'ml.slices': row.slices && JSON.stringify(row.slices),
        'error.type': row.error,
      };
      this.#send(`predict ${model.name}`, model, 1, columns, row.startTime);
    });
  }

  // Many predictions at once, packed: 50,000 rows are a hundred spans. Each row as above, with `duration` in seconds
  // instead of startTime. `time` (Date or ms) is that of all of them, now unless given.
  recordPredictions(model, rows, time = Date.now()) {
    this.#guard(0, () => {
      for (const part of cut(rows)) this.#sendPacked(`predict ${model.name}`, model, part, predictionColumns, time);
    });
  }

  // What a prediction turned out to be; `time` is when that became known.
  recordLabel(model, id, label, time = Date.now()) {
    this.recordLabels(model, [{ id, label }], time);
  }

  // Many labels at once: [{ id, label }, …].
  recordLabels(model, labels, time = Date.now()) {
    this.#guard(0, () => {
      for (const part of cut(labels)) this.#sendPacked(`feedback ${model.name}`, model, part, labelColumns, time);
    });
  }

  // Rows so far, labels among them. Acknowledged: durable at the receiver, or refused there, which OpenTelemetry's `diag`
  // logger says. Lost: their request failed for good, or they found the queue full.
  get counts() {
    const { recorded, acknowledged, lost } = this.#exporter;
    return { recorded, acknowledged, lost, waiting: recorded - acknowledged - lost };
  }

  // Send what waits, for at most `milliseconds`; returns the counts. Stop recording first.
  async shutdown(milliseconds = 10_000) {
    this.#closed = true;
    let timer;
    const deadline = new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)));
    // The SDK hands over all batches at once and gives up waiting at the first that fails; `idle` waits for each.
    const sent = this.#provider.shutdown().catch(() => {}).then(() => this.#exporter.idle);
    await Promise.race([sent, deadline]);
    clearTimeout(timer);
    const counts = this.counts;
    if (counts.lost) console.warn(`calidris: ${counts.lost} rows were lost in all`);
    if (counts.waiting) console.warn(`calidris: ${counts.waiting} rows were not sent within ${milliseconds} ms`);
    return counts;
  }

  // A row that cannot be sent costs itself, not its neighbours, and a span that would be too long becomes two.
  #sendPacked(name, model, rows, toColumns, time) {
    let columns;
    try {
      columns = toColumns(rows);
    } catch (error) {
      if (rows.length === 1) return this.#exporter.lose(1, error);
    }
    if (rows.length > 1 && !(columns && characters(columns) <= CHARACTERS_PER_SPAN)) {
      const half = rows.length >> 1;
      this.#sendPacked(name, model, rows.slice(0, half), toColumns, time);
      this.#sendPacked(name, model, rows.slice(half), toColumns, time);
    } else {
      this.#guard(rows.length, () => this.#send(name, model, rows.length, columns, time, time));
    }
  }

  #send(name, model, rows, columns, startTime, endTime) {
    if (this.#closed) throw new Error('recorded after shutdown');
    if (!this.#exporter.hasRoom()) throw new Error('they come faster than they leave, or the receiver is away');
    const attributes = {
      'ml.model.name': model.name,
      'ml.model.version': model.version,
      'ml.model.task': model.task,
      'ml.prediction.count': rows,
      ...columns, // what is undefined is left out
    };
    const span = this.#tracer.startSpan(name, { attributes, startTime });
    if (!span.isRecording()) throw new Error('recorded where tracing is suppressed');
    if (columns['error.type']) span.setStatus({ code: SpanStatusCode.ERROR });
    this.#exporter.expect(rows);
    span.end(endTime);
  }

  // Monitoring costs no answer: what cannot be sent (a BigInt among the features, a full queue) is counted and said.
  #guard(rows, send) {
    try {
      send();
    } catch (error) {
      this.#exporter.lose(rows, error);
    }
  }
}

// Around the real exporter: counts rows by what became of them, and sends one request at a time. At shutdown the SDK hands
// over the whole queue at once, and the OTLP exporter refuses what is beyond 30 requests ("Concurrent export limit reached").
class CountingExporter {
  recorded = 0;
  acknowledged = 0;
  lost = 0;
  idle = Promise.resolve();
  #spansWaiting = 0;

  constructor(exporter, most) {
    this.exporter = exporter;
    this.most = most;
  }

  // Asked before the SDK's queue is, which is as long, and would drop the span without a count.
  hasRoom() {
    return this.#spansWaiting < this.most;
  }

  expect(rows) {
    this.recorded += rows;
    this.#spansWaiting += 1;
  }

  lose(rows, error) {
    this.recorded += rows;
    this.#lost(rows, error);
  }

  export(spans, done) {
    this.idle = this.idle.then(() => this.#send(spans)).then(done);
  }

  async #send(spans) {
    const deadline = performance.now() + REQUEST_MS;
    let result = await this.#try(spans);
    while (mayPass(result) && performance.now() < deadline) {
      await sleep(PAUSE_MS);
      result = await this.#try(spans);
    }
    const rows = spans.reduce((sum, span) => sum + span.attributes['ml.prediction.count'], 0);
    this.#spansWaiting -= spans.length;
    if (result.code === ExportResultCode.SUCCESS) this.acknowledged += rows;
    else this.#lost(rows, result.error);
    return result;
  }

  #try(spans) {
    return new Promise((resolve) => this.exporter.export(spans, resolve)).catch(failed);
  }

  #lost(rows, error) {
    this.lost += rows;
    warn(`calidris: ${this.lost} rows lost so far, the last because: ${error?.message || 'the receiver did not answer'}`);
  }

  forceFlush() {
    return this.idle;
  }

  shutdown() {
    return this.idle.then(() => this.exporter.shutdown());
  }
}

// An HTTP status that is no "try again" (a number) is for good; a receiver that is away (ECONNREFUSED), or full, is not.
const mayPass = ({ code, error }) => code !== ExportResultCode.SUCCESS && typeof error?.code !== 'number';
const failed = (error) => ({ code: ExportResultCode.FAILED, error });

function* cut(rows) {
  for (let at = 0; at < rows.length; ) {
    const values = Object.keys(rows[at]?.features ?? {}).length + Object.keys(rows[at]?.slices ?? {}).length + 1;
    const end = at + Math.max(1, Math.min(ROWS_PER_SPAN, Math.floor(VALUES_PER_SPAN / values)));
    yield rows.slice(at, end);
    at = end;
  }
}

// Rows to columns, each an array in a string of JSON: every SDK can send that, and null is a missing value.
function predictionColumns(rows) {
  return {
    'ml.prediction.id': column(rows, 'id'),
    'ml.prediction.score': column(rows, 'score'),
    'ml.prediction.value': column(rows, 'value'),
    'ml.prediction.class': column(rows, 'class'),
    'ml.prediction.error': column(rows, 'error'),
    'ml.prediction.duration': column(rows, 'duration'),
    'ml.features': columnsByName(rows.map((row) => row.features ?? {})),
    'ml.slices': columnsByName(rows.map((row) => row.slices ?? {})),
  };
}

function labelColumns(labels) {
  return { 'ml.prediction.id': column(labels, 'id'), 'ml.label': column(labels, 'label') };
}

// Undefined where no row has a value.
function column(rows, name) {
  if (rows.every((row) => row[name] == null)) return undefined;
  return JSON.stringify(rows.map((row) => row[name] ?? null));
}

function columnsByName(maps) {
  const names = new Set(maps.flatMap(Object.keys));
  const columns = [...names].map((name) => [name, maps.map((map) => map[name] ?? null)]);
  return JSON.stringify(Object.fromEntries(columns));
}

const characters = (columns) => Object.values(columns).reduce((sum, text) => sum + (text?.length ?? 0), 0);

let warned = -Infinity;
function warn(text) {
  if (performance.now() - warned < WARN_EVERY_MS) return;
  warned = performance.now();
  console.warn(text);
}
