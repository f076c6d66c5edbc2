// A service that tells Calidris what it predicts: a burst of predictions one by one, more of them in packed spans, and
// the labels of all that succeeded; with -serve it goes on predicting until SIGTERM or SIGINT. Its last line says what
// became of the rows.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"example.com/go-client/calidris"
)

var lands = []string{"at", "de", "nl"}

func main() {
	endpoint := flag.String("endpoint", "http://127.0.0.1:4327", "OTLP/gRPC of the receiver")
	predictions := flag.Int("predictions", 5_000, "predictions one by one")
	packed := flag.Int("packed", 50_000, "predictions in packed spans")
	name := flag.String("model", "credit", "the model's name")
	serve := flag.Bool("serve", false, "go on predicting until SIGTERM or SIGINT")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	client, err := calidris.New(ctx, calidris.Options{EndpointURL: *endpoint})
	if err != nil {
		log.Fatal(err)
	}
	credit := calidris.Model{Name: *name, Version: "7", Task: "binary"}

	// The application's own tracing keeps one trace in ten. Predictions do not depend on it.
	otel.SetTracerProvider(sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.1))),
	))
	app := &service{client: client, model: credit}
	app.burst(ctx, *predictions, *packed)
	if *serve {
		fmt.Println("serving")
		app.serve(ctx)
	}

	// The context of the signal is done by now; the flush gets its own ten seconds.
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	counts := client.Shutdown(last)
	_ = json.NewEncoder(os.Stdout).Encode(counts)
	if counts.Acknowledged != counts.Recorded {
		os.Exit(1)
	}
}

type service struct {
	client *calidris.Client
	model  calidris.Model
	next   atomic.Int64
}

// burst records what requests, a batch job and the outcomes record.
func (s *service) burst(ctx context.Context, predictions, packed int) {
	rows := make([]calidris.Row, 0, predictions+packed)
	for i := range predictions {
		rows = append(rows, s.answer(ctx, i))
	}
	for i := range packed {
		rows = append(rows, predict(predictions+i))
	}
	s.client.RecordPredictions(ctx, s.model, rows[predictions:], time.Time{})
	var labels []calidris.Label
	for i, row := range rows {
		if row.Score != nil {
			outcome := 0
			if float64(i*7%1000) < *row.Score*1000 {
				outcome = 1
			}
			labels = append(labels, calidris.Label{ID: row.ID, Value: outcome})
		}
	}
	s.client.RecordLabels(ctx, s.model, labels, time.Time{})
	s.next.Store(int64(len(rows)))
}

// serve answers requests in four goroutines until the context is done, and comes back when the last is answered.
func (s *service) serve(ctx context.Context) {
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for ctx.Err() == nil {
				s.answer(ctx, int(s.next.Add(1)-1))
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	running.Wait()
}

// answer is one request.
func (s *service) answer(ctx context.Context, i int) calidris.Row {
	ctx, span := otel.Tracer("app").Start(ctx, "POST /credit")
	defer span.End()
	start := time.Now()
	row := predict(i)
	row.Start = start
	s.client.RecordPrediction(ctx, s.model, row)
	return row
}

// predict stands for a model: every hundredth call fails, every fiftieth person has no tenure.
func predict(i int) calidris.Row {
	var tenure any = i % 20
	if i%50 == 0 {
		tenure = nil
	}
	land := lands[i%3]
	row := calidris.Row{
		ID:       strconv.Itoa(i),
		Features: map[string]any{"age": 20 + i%50, "income": 1000 * (i % 97), "land": land, "tenure": tenure},
		Slices:   map[string]string{"land": land},
	}
	if i%100 == 99 {
		row.Error = "Timeout"
	} else {
		row.Score = new(float64(i%1000) / 1000)
	}
	return row
}
