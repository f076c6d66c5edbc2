package calidris

import (
	"context"
	"math"
	"testing"
	"time"
)

// nobody listens there.
var dead = Options{EndpointURL: "http://127.0.0.1:9", SpansWaiting: 10}

func client(t *testing.T) *Client {
	t.Helper()
	c, err := New(context.Background(), dead)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func shutdown(c *Client) Counts {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	return c.Shutdown(ctx)
}

func expect(t *testing.T, got, want Counts) {
	t.Helper()
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestARowThatCannotBeSentCostsItselfAlone(t *testing.T) {
	c := client(t)
	good, bad := Row{Features: map[string]any{"age": math.NaN()}}, Row{Features: map[string]any{"age": make(chan int)}}
	c.RecordPrediction(t.Context(), Model{Name: "m"}, good)
	c.RecordPrediction(t.Context(), Model{Name: "m"}, bad)
	c.RecordPredictions(t.Context(), Model{Name: "m"}, []Row{good, bad, good}, time.Time{})
	c.RecordLabels(t.Context(), Model{Name: "m"}, []Label{{"a", 1}, {"b", make(chan int)}}, time.Time{})
	expect(t, c.Counts(), Counts{Recorded: 7, Lost: 3, Waiting: 4})
	shutdown(c)
}

func TestAFullQueueIsCounted(t *testing.T) {
	c := client(t)
	for range 25 {
		c.RecordLabel(t.Context(), Model{Name: "m"}, Label{"a", 1})
	}
	expect(t, c.Counts(), Counts{Recorded: 25, Lost: 15, Waiting: 10})
	shutdown(c)
}

func TestWhatIsRecordedAfterShutdownIsLost(t *testing.T) {
	c := client(t)
	expect(t, shutdown(c), Counts{})
	c.RecordPrediction(t.Context(), Model{Name: "m"}, Row{Score: new(0.5)})
	expect(t, c.Counts(), Counts{Recorded: 1, Lost: 1})
}

func TestWideRowsMakeMoreSpans(t *testing.T) {
	c := client(t)
	features := map[string]any{}
	for i := range 4096 {
		features[string(rune(i+200))] = i
	}
	c.RecordPredictions(t.Context(), Model{Name: "m"}, []Row{{Features: features}, {Features: features}}, time.Time{})
	if c.ledger.spans != 2 {
		t.Errorf("%d spans", c.ledger.spans)
	}
	shutdown(c)
}
