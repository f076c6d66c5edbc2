// Package calidris sends predictions and their labels to Calidris with the OpenTelemetry SDK alone. Copy it into your
// service.
//
//	client, err := calidris.New(ctx, calidris.Options{})
//	credit := calidris.Model{Name: "credit", Version: "7", Task: "binary"}
//	client.RecordPrediction(ctx, credit, calidris.Row{ID: "5f0c", Score: new(0.83), Features: features})
//	client.RecordLabel(ctx, credit, calidris.Label{ID: "5f0c", Value: 1}) // any time later, from any process
//	counts := client.Shutdown(ctx)                                        // on SIGTERM: sends what waits
//
// The promise: recorded = acknowledged + lost + waiting, in rows, at any time (see [Client.Counts]). No call waits for
// the network.
package calidris

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// The SDK's own 2048 lose most of a burst. At 1 to 2 KB a span with a dozen features, a full queue holds 130 MB.
	spansWaiting    = 65_536
	spansPerRequest = 128

	// Of a packed span. 128 of them in a request stay far below the receiver's 64 MiB and its million values.
	rowsPerSpan   = 512
	valuesPerSpan = 4096
	bytesPerSpan  = 256 << 10

	// How long a request is tried again while the receiver restarts.
	requestTimeout = 30 * time.Second
	warnEvery      = 10 * time.Second
)

// Model is what predicted. Task is "binary", "multiclass" or "regression".
type Model struct{ Name, Version, Task string }

// Row is one prediction; what is not set is not sent.
type Row struct {
	ID       string
	Score    *float64 // a probability
	Value    *float64 // of a regression
	Class    string
	Features map[string]any // numbers, booleans and strings; nil is missing
	Slices   map[string]string
	Error    string        // why it failed
	Start    time.Time     // when the model was called; now unless set
	Duration time.Duration // how long it took; since Start unless set
}

// Label is what a prediction turned out to be: a number or a class.
type Label struct {
	ID    string
	Value any
}

// Options of a client; the zero value sends in clear to this machine.
type Options struct {
	EndpointURL  string            // of OTLP/gRPC; http://127.0.0.1:4327 unless set; https:// for TLS
	Headers      map[string]string // "authorization": "Bearer …" where the receiver wants a token
	SpansWaiting int               // 65,536 unless set
}

// Client sends. It is safe for use by many goroutines.
type Client struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	ledger   *ledger

	// Held for reading while a span is recorded, so that none slips in behind the last flush.
	closing sync.RWMutex
	closed  bool
}

// New makes a client. It does not connect yet: a service starts whether the receiver is there or not.
func New(ctx context.Context, options Options) (*Client, error) {
	if options.EndpointURL == "" {
		options.EndpointURL = "http://127.0.0.1:4327"
	}
	if options.SpansWaiting == 0 {
		options.SpansWaiting = spansWaiting
	}
	exporter, err := otlptracegrpc.New(ctx,
		otlptracegrpc.WithEndpointURL(options.EndpointURL),
		otlptracegrpc.WithHeaders(options.Headers),
		// The time of all tries together. The SDK's ten seconds leave room for one or two, five seconds apart.
		otlptracegrpc.WithTimeout(requestTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: requestTimeout,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("calidris: %w", err)
	}
	ledger := &ledger{SpanExporter: exporter, most: options.SpansWaiting}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeCountLimit, limits.AttributeValueLengthLimit = 128, -1 // -1: a cut string is no JSON any more
	// A provider of its own, never made the global one: the application's sampler, queue and limits stay what they
	// are, and so do ours, whatever OTEL_TRACES_SAMPLER, OTEL_BSP_* and OTEL_SPAN_ATTRIBUTE_* say.
	provider := sdktrace.NewTracerProvider(
		// Not ParentBased: nine of ten predictions would go with the nine of ten traces that a head sampler drops.
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithBatcher(ledger,
			sdktrace.WithMaxQueueSize(options.SpansWaiting),
			sdktrace.WithMaxExportBatchSize(spansPerRequest),
			sdktrace.WithBatchTimeout(time.Second),
			sdktrace.WithExportTimeout(2*requestTimeout),
		),
	)
	return &Client{provider: provider, tracer: provider.Tracer("calidris-go-client"), ledger: ledger}, nil
}

// RecordPrediction records one prediction, as a child of the context's span, so that an alarm's example leads to the
// request's trace.
func (c *Client) RecordPrediction(ctx context.Context, model Model, row Row) {
	columns, err := columnsOfRow(row)
	if err != nil {
		c.ledger.lose(1, err)
		return
	}
	end := time.Now()
	if row.Start.IsZero() {
		row.Start = end.Add(-row.Duration)
	} else if row.Duration > 0 {
		end = row.Start.Add(row.Duration)
	}
	c.send(ctx, "predict "+model.Name, model, 1, columns, row.Start, end)
}

// RecordPredictions records many at once, packed: 50,000 rows are a hundred spans. All have the time at, now where that
// is zero; Start is not looked at.
func (c *Client) RecordPredictions(ctx context.Context, model Model, rows []Row, at time.Time) {
	for len(rows) > 0 {
		n := min(len(rows), rowsPerSpan, max(1, valuesPerSpan/(len(rows[0].Features)+len(rows[0].Slices)+1)))
		sendPacked(ctx, c, "predict "+model.Name, model, rows[:n], columnsOfRows, orNow(at))
		rows = rows[n:]
	}
}

// RecordLabel records what a prediction turned out to be, known since now.
func (c *Client) RecordLabel(ctx context.Context, model Model, label Label) {
	c.RecordLabels(ctx, model, []Label{label}, time.Time{})
}

// RecordLabels records many at once; all became known at the time at, now where that is zero.
func (c *Client) RecordLabels(ctx context.Context, model Model, labels []Label, at time.Time) {
	for len(labels) > 0 {
		n := min(len(labels), rowsPerSpan)
		sendPacked(ctx, c, "feedback "+model.Name, model, labels[:n], columnsOfLabels, orNow(at))
		labels = labels[n:]
	}
}

// Counts says what became of the rows so far, labels among them.
func (c *Client) Counts() Counts { return c.ledger.counts() }

// Shutdown sends what waits, until the context is done, and says what became of the rows. What is recorded afterwards is
// counted as lost.
func (c *Client) Shutdown(ctx context.Context) Counts {
	c.closing.Lock()
	c.closed = true
	c.closing.Unlock()
	err := c.provider.Shutdown(ctx)
	counts := c.Counts()
	if counts.Lost > 0 {
		slog.Warn("calidris: rows were lost in all", "rows", counts.Lost)
	}
	if counts.Waiting > 0 {
		slog.Warn("calidris: rows were not sent before the end", "rows", counts.Waiting, "error", err)
	}
	return counts
}

// sendPacked sends rows in one span. A row that cannot be sent costs itself, not its neighbours, and a span that would be
// too large becomes two.
func sendPacked[T any](
	ctx context.Context, c *Client, name string, model Model, rows []T,
	toColumns func([]T) ([]attribute.KeyValue, int, error), at time.Time,
) {
	columns, size, err := toColumns(rows)
	switch {
	case err != nil && len(rows) == 1:
		c.ledger.lose(1, err)
	case len(rows) > 1 && (err != nil || size > bytesPerSpan):
		half := len(rows) / 2
		sendPacked(ctx, c, name, model, rows[:half], toColumns, at)
		sendPacked(ctx, c, name, model, rows[half:], toColumns, at)
	default:
		c.send(ctx, name, model, len(rows), columns, at, at)
	}
}

var (
	errClosed = errors.New("recorded after Shutdown")
	errFull   = errors.New("they come faster than they leave, or the receiver is away")
)

func (c *Client) send(
	ctx context.Context, name string, model Model, rows int, columns []attribute.KeyValue, start, end time.Time,
) {
	c.closing.RLock()
	defer c.closing.RUnlock()
	if c.closed {
		c.ledger.lose(rows, errClosed)
		return
	}
	if !c.ledger.expect(rows) {
		c.ledger.lose(rows, errFull)
		return
	}
	_, span := c.tracer.Start(ctx, name, trace.WithTimestamp(start), trace.WithAttributes(
		attribute.String("ml.model.name", model.Name),
		attribute.String("ml.model.version", model.Version),
		attribute.String("ml.model.task", model.Task),
		rowCount.Int(rows),
	), trace.WithAttributes(columns...))
	for _, column := range columns {
		if column.Key == "error.type" {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End(trace.WithTimestamp(end))
}

func orNow(at time.Time) time.Time {
	if at.IsZero() {
		return time.Now()
	}
	return at
}

// finite makes null, which is a missing value, of what JSON has no number for.
func finite(value any) any {
	if number, ok := value.(float64); ok && (math.IsNaN(number) || math.IsInf(number, 0)) {
		return nil
	}
	return value
}
