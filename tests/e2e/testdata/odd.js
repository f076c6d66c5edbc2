// What a caller may do wrong: each costs its own rows, is counted, and throws nothing.   node odd.js URL MODEL
import { context } from '@opentelemetry/api';
import { suppressTracing } from '@opentelemetry/core';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

import { Calidris } from './calidris.js';

const [url, name] = process.argv.slice(2);
new NodeTracerProvider().register(); // contexts work
const model = { name };
const calidris = new Calidris({ url, spansWaiting: 100 });

for (const age of [NaN, Infinity, null]) calidris.recordPrediction(model, { features: { age } }); // missing
calidris.recordPrediction(model, { features: { age: 1n } }); // lost: no JSON
calidris.recordPredictions(model, [{ features: { age: 1 } }, { features: { age: 2n } }, { features: { age: 3 } }]); // one lost
context.with(suppressTracing(context.active()), () => calidris.recordPrediction(model, { score: 0.5 })); // lost
calidris.recordPredictions(model, null); // nothing
calidris.recordPredictions(model, [{ id: 'a', score: 0.1 }, null]); // one lost
calidris.recordLabels(model, [{ id: 'a', label: 1 }, { id: 'b', label: 1n }]); // one lost
for (let i = 0; i < 200; i++) calidris.recordPrediction(model, { score: 0.5 }); // lost beyond the queue
const rest = calidris.shutdown();
calidris.recordPrediction(model, { score: 0.5 }); // lost
await rest;
console.log(JSON.stringify(calidris.counts));
