package calidris

import (
	"encoding/json"
	"math"

	"go.opentelemetry.io/otel/attribute"
)

// columnsOfRow is one prediction as plain values.
func columnsOfRow(row Row) ([]attribute.KeyValue, error) {
	columns := []attribute.KeyValue{attribute.String("ml.prediction.id", row.ID)}
	if row.Score != nil {
		columns = append(columns, attribute.Float64("ml.prediction.score", *row.Score))
	}
	if row.Value != nil {
		columns = append(columns, attribute.Float64("ml.prediction.value", *row.Value))
	}
	if row.Class != "" {
		columns = append(columns, attribute.String("ml.prediction.class", row.Class))
	}
	if row.Error != "" {
		columns = append(columns, attribute.String("error.type", row.Error))
	}
	features := make(map[string]any, len(row.Features))
	for name, value := range row.Features {
		features[name] = finite(value)
	}
	columns, _, err := appendObject(columns, "ml.features", features)
	if err == nil {
		columns, _, err = appendObject(columns, "ml.slices", row.Slices)
	}
	return columns, err
}

// columnsOfRows is many predictions, a column each: arrays of OTLP, where NaN and "" are missing, and objects of such
// columns as JSON, which every SDK can send; with the bytes of the latter.
func columnsOfRows(rows []Row) ([]attribute.KeyValue, int, error) {
	n := len(rows)
	ids, classes, errs := make([]string, n), make([]string, n), make([]string, n)
	scores, values, seconds := make([]float64, n), make([]float64, n), make([]float64, n)
	features, slices := map[string][]any{}, map[string][]any{}
	for i, row := range rows {
		ids[i], classes[i], errs[i] = row.ID, row.Class, row.Error
		scores[i], values[i] = orNaN(row.Score), orNaN(row.Value)
		seconds[i] = row.Duration.Seconds()
		if row.Duration == 0 {
			seconds[i] = math.NaN()
		}
		for name, value := range row.Features {
			put(features, name, i, n, finite(value))
		}
		for name, value := range row.Slices {
			put(slices, name, i, n, value)
		}
	}
	columns := []attribute.KeyValue{attribute.StringSlice("ml.prediction.id", ids)}
	columns = appendNumbers(columns, "ml.prediction.score", scores)
	columns = appendNumbers(columns, "ml.prediction.value", values)
	columns = appendNumbers(columns, "ml.prediction.duration", seconds)
	columns = appendStrings(columns, "ml.prediction.class", classes)
	columns = appendStrings(columns, "ml.prediction.error", errs)
	columns, size, err := appendObject(columns, "ml.features", features)
	if err != nil {
		return nil, 0, err
	}
	columns, more, err := appendObject(columns, "ml.slices", slices)
	return columns, size + more, err
}

// columnsOfLabels is many labels as columns, with the bytes of the outcomes.
func columnsOfLabels(labels []Label) ([]attribute.KeyValue, int, error) {
	ids, values := make([]string, len(labels)), make([]any, len(labels))
	for i, label := range labels {
		ids[i], values[i] = label.ID, finite(label.Value)
	}
	text, err := json.Marshal(values)
	columns := []attribute.KeyValue{
		attribute.StringSlice("ml.prediction.id", ids),
		attribute.String("ml.label", string(text)),
	}
	return columns, len(text), err
}

func put(columns map[string][]any, name string, at, n int, value any) {
	column, ok := columns[name]
	if !ok {
		column = make([]any, n) // nil is missing
		columns[name] = column
	}
	column[at] = value
}

func orNaN(value *float64) float64 {
	if value == nil {
		return math.NaN()
	}
	return *value
}

// appendNumbers leaves out a column without any value.
func appendNumbers(to []attribute.KeyValue, name string, column []float64) []attribute.KeyValue {
	for _, value := range column {
		if !math.IsNaN(value) {
			return append(to, attribute.Float64Slice(name, column))
		}
	}
	return to
}

func appendStrings(to []attribute.KeyValue, name string, column []string) []attribute.KeyValue {
	for _, value := range column {
		if value != "" {
			return append(to, attribute.StringSlice(name, column))
		}
	}
	return to
}

// appendObject adds a map as JSON, and says how many bytes that has.
func appendObject[T any](to []attribute.KeyValue, name string, object map[string]T) ([]attribute.KeyValue, int, error) {
	if len(object) == 0 {
		return to, 0, nil
	}
	text, err := json.Marshal(object)
	return append(to, attribute.String(name, string(text))), len(text), err
}
