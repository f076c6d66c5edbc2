package calidris

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const rowCount = attribute.Key("ml.prediction.count")

// Counts are rows by what became of them: Recorded = Acknowledged + Lost + Waiting.
type Counts struct {
	Recorded     int `json:"recorded"`
	Acknowledged int `json:"acknowledged"` // durable at the receiver, or refused there, which the log says
	Lost         int `json:"lost"`         // their request failed for good, or they found the queue full
	Waiting      int `json:"waiting"`
}

// ledger is the real exporter, with a count of the rows by what became of them.
type ledger struct {
	sdktrace.SpanExporter
	most int // spans that may wait

	mutex        sync.Mutex
	spans        int // that wait
	recorded     int
	acknowledged int
	lost         int
	warned       time.Time
}

// expect counts a span that is about to be recorded, or says that the queue is full. Asked before the SDK's queue is,
// which is as long, and would drop the span without a word.
func (l *ledger) expect(rows int) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.spans >= l.most {
		return false
	}
	l.spans++
	l.recorded += rows
	return true
}

// lose counts rows that never got as far as the SDK, and says so now and then.
func (l *ledger) lose(rows int, reason error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.recorded += rows
	l.lost += rows
	if time.Since(l.warned) > warnEvery {
		l.warned = time.Now()
		slog.Warn("calidris: rows lost", "rows so far", l.lost, "the last because", reason)
	}
}

// ExportSpans sends a batch. What it returns, the SDK gives to its error handler (otel.SetErrorHandler), which writes to
// standard error: a failure, and what the receiver refused of an accepted request.
func (l *ledger) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, spans)
	rows := 0
	for _, span := range spans {
		rows += rowsOf(span)
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.spans -= len(spans)
	// The SDK's type of this error is internal, its text is not. Such a request was acknowledged.
	if err == nil || strings.Contains(err.Error(), "OTLP partial success") {
		l.acknowledged += rows
	} else {
		l.lost += rows
	}
	return err
}

func (l *ledger) counts() Counts {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return Counts{l.recorded, l.acknowledged, l.lost, l.recorded - l.acknowledged - l.lost}
}

func rowsOf(span sdktrace.ReadOnlySpan) int {
	for _, attr := range span.Attributes() {
		if attr.Key == rowCount {
			return int(attr.Value.AsInt64())
		}
	}
	return 0
}
