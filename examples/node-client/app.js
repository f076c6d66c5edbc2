// A service that tells Calidris what it predicts:  node app.js [URL] [PREDICTIONS] [PACKED] [MODEL] [--serve]
//
// It records a burst of PREDICTIONS one by one, PACKED more in packed spans, and the labels of all that succeeded; with
// --serve it goes on predicting until SIGTERM or SIGINT. Its last line says what became of the rows.

import { diag, DiagConsoleLogger, DiagLogLevel, trace } from '@opentelemetry/api';
import { NodeTracerProvider, ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-node';
import { setTimeout as sleep } from 'node:timers/promises';

import { Calidris } from './calidris.js';

const positional = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const [url = 'http://127.0.0.1:4328/v1/traces', predictions = '5000', packed = '50000', name = 'credit'] = positional;
const credit = { name, version: '7', task: 'binary' };

// Says which spans the receiver refused and why (OTLP's partial_success), which the SDK otherwise keeps to itself.
diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);

// The application's own tracing keeps one trace in ten. Predictions do not depend on it.
new NodeTracerProvider({ sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.1) }) }).register();
const application = trace.getTracer('app');

const calidris = new Calidris({ url });
let stopping = false;
process.once('SIGTERM', () => (stopping = true));
process.once('SIGINT', () => (stopping = true));

// Stands for a model: every hundredth call fails, every fiftieth person has no tenure.
function predict(i) {
  const row = {
    id: `${i}`,
    features: { age: 20 + (i % 50), income: 1000 * (i % 97), land: ['at', 'de', 'nl'][i % 3], tenure: i % 50 ? i % 20 : null },
    slices: { land: ['at', 'de', 'nl'][i % 3] },
  };
  return i % 100 === 99 ? { ...row, error: 'Timeout' } : { ...row, score: (i % 1000) / 1000 };
}

const outcome = ({ id, score }) => ({ id, label: (Number(id) * 7) % 1000 < score * 1000 ? 1 : 0 });
const range = (from, to) => Array.from({ length: to - from }, (_, k) => from + k);

function answerRequest(i) {
  return application.startActiveSpan('POST /credit', (span) => {
    const startTime = Date.now();
    const row = predict(i);
    calidris.recordPrediction(credit, { ...row, startTime });
    span.end();
    return row;
  });
}

const single = range(0, Number(predictions)).map(answerRequest);
const batch = range(single.length, single.length + Number(packed)).map(predict);
calidris.recordPredictions(credit, batch);
const succeeded = [...single, ...batch].filter((row) => !row.error);
calidris.recordLabels(credit, succeeded.map(outcome));

if (process.argv.includes('--serve')) {
  console.log('serving');
  for (let i = single.length + batch.length; !stopping; i++) {
    answerRequest(i);
    if (i % 3 === 0) await sleep(1); // some 2000 a second
  }
}

const counts = await calidris.shutdown();
console.log(JSON.stringify(counts));
process.exit(counts.acknowledged === counts.recorded ? 0 : 1);
