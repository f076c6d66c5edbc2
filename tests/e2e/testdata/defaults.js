// What docs/wire.md warns of: a burst by the SDK as it comes, with the application's head sampler or without.
//   node defaults.js URL SPANS MODEL RATIO
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { BatchSpanProcessor, NodeTracerProvider, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-node';

const [url, spans, model, ratio] = process.argv.slice(2);
const provider = new NodeTracerProvider({
  sampler: new TraceIdRatioBasedSampler(Number(ratio)),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))],
});
const tracer = provider.getTracer('app');
for (let i = 0; i < Number(spans); i++) {
  tracer.startSpan('predict', { attributes: { 'ml.model.name': model, 'ml.prediction.score': 0.5 } }).end();
}
await provider.shutdown();
console.log('{}');
