"""GENERATED from semconv/ml.yaml by `make generate`: do not edit.

Names, units and descriptions of every attribute and metric on the wire. A metric's ``prometheus`` is the name that the
default translation (``UnderscoreEscapingWithSuffixes``) gives it, on every path.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """One metric of the convention."""

    name: str
    unit: str
    instrument: str
    description: str
    prometheus: str


def prometheus_label(attribute: str) -> str:
    """The Prometheus label of an attribute name.

    >>> prometheus_label("ml.model.name")
    'ml_model_name'
    """
    return attribute.replace(".", "_")


SCHEMA_URL: Final = "https://calidris.dev/schemas/ml/0.1.0"

ML_MODEL_NAME: Final = "ml.model.name"
"""Name of the model."""

ML_MODEL_VERSION: Final = "ml.model.version"
"""Version of the model; `unknown` where nobody said."""

ML_MODEL_TASK: Final = "ml.model.task"
"""What the model predicts."""

ML_MODEL_TASK_BINARY: Final = "binary"
"""one of two classes"""

ML_MODEL_TASK_MULTICLASS: Final = "multiclass"
"""one of several classes"""

ML_MODEL_TASK_REGRESSION: Final = "regression"
"""a number"""

ML_MODEL_TASK_RANKING: Final = "ranking"
"""an order"""

ML_MODEL_TASK_GENERATION: Final = "generation"
"""text or media"""

ML_MODEL_ROLE: Final = "ml.model.role"
"""What a version of a model does beside the others that serve. On a span or its resource."""

ML_MODEL_ROLE_CHAMPION: Final = "champion"
"""its answers are used; so it is where nothing is said"""

ML_MODEL_ROLE_CANARY: Final = "canary"
"""its answers are used for a part of the traffic"""

ML_MODEL_ROLE_SHADOW: Final = "shadow"
"""it is asked beside another version and its answers are not used"""

ML_PREDICTION_COUNT: Final = "ml.prediction.count"
"""Rows in this span; 1 if absent, 0 on a span that only marks a trace."""

ML_PREDICTION_ID: Final = "ml.prediction.id"
"""Column of ids that join a label to its prediction."""

ML_FEATURES: Final = "ml.features"
"""Map from feature name to column; an embedding is `{f32: packed bytes, dim: d}`, n·d values little-endian, or in JSON an array of n arrays of d numbers."""

ML_PREDICTION_BATCH_ID: Final = "ml.prediction.batch_id"
"""The job that scored these rows: its model's windows close when the job is over, by the rows' own times. On a span or its resource."""

ML_PREDICTION_SCORE: Final = "ml.prediction.score"
"""Column of probabilities of the positive class, or map from class to column."""

ML_PREDICTION_CLASS: Final = "ml.prediction.class"
"""Column of decisions."""

ML_PREDICTION_VALUE: Final = "ml.prediction.value"
"""Column of regression outputs."""

ML_PREDICTION_DURATION: Final = "ml.prediction.duration"
"""Column of seconds that the call took."""

ML_PREDICTION_ERROR: Final = "ml.prediction.error"
"""Column of error types of failed rows."""

ML_PREDICTION_TIME_OFFSET: Final = "ml.prediction.time_offset"
"""Column of nanoseconds from the span's start to the call of each row."""

ML_PREDICTION_TRACE_ID: Final = "ml.prediction.trace_id"
"""Column of trace ids of the calls (hexadecimal)."""

ML_PREDICTION_SPAN_ID: Final = "ml.prediction.span_id"
"""Column of span ids of the calls (hexadecimal)."""

ML_PREDICTION_WEIGHT: Final = "ml.prediction.weight"
"""Column of inverse inclusion probabilities where rows were sampled."""

ML_SLICES: Final = "ml.slices"
"""Map from slice name to column: what to cut by."""

ERROR_TYPE: Final = "error.type"
"""The whole call failed with this error."""

ML_REPORT_ROWS_DROPPED: Final = "ml.report.rows_dropped"
"""Map from reason to the number of predictions and labels that will never arrive, since the sender's last report."""

ML_REPORT_VALUES_WITHHELD: Final = "ml.report.values_withheld"
"""Map from reason to the number of values that became missing before they were sent, since the sender's last report."""

ML_LABEL: Final = "ml.label"
"""Column of true outcomes."""

ML_LABEL_TIME: Final = "ml.label.time"
"""Column of times at which the outcomes became known, ns since the epoch."""

ML_WINDOW: Final = "ml.window"
"""Length of the window the figure is of, or `baseline`."""

ML_FEATURE_NAME: Final = "ml.feature.name"
"""Feature the figure is of; of the relation of two, both of them."""

ML_DRIFT_MEASURE: Final = "ml.drift.measure"
"""Measure of distance from the baseline."""

ML_CALIBRATION_MEASURE: Final = "ml.calibration.measure"
"""Measure of calibration."""

ML_PERFORMANCE_MEASURE: Final = "ml.performance.measure"
"""Measure of performance."""

ML_PERFORMANCE_SOURCE: Final = "ml.performance.source"
"""Where the figure comes from."""

ML_PERFORMANCE_SOURCE_LABELS: Final = "labels"
"""true outcomes"""

ML_PERFORMANCE_SOURCE_ESTIMATE: Final = "estimate"
"""estimated without labels"""

ML_LABEL_MATURITY: Final = "ml.label.maturity"
"""How complete the labels behind the figure are."""

ML_LABEL_MATURITY_FIXED_AGE: Final = "fixed_age"
"""labels of the same age"""

ML_LABEL_MATURITY_DELAY_ADJUSTED: Final = "delay_adjusted"
"""corrected for labels not yet seen"""

ML_LABEL_MATURITY_ARRIVED: Final = "arrived"
"""all labels that have come so far"""

ML_LABEL_MATURITY_COMPLETE: Final = "complete"
"""of rows so old that 99 % of both classes' labels are in"""

ML_DATA_QUALITY_KIND: Final = "ml.data_quality.kind"
"""Kind of data fault."""

ML_FAIRNESS_MEASURE: Final = "ml.fairness.measure"
"""Measure of fairness."""

ML_FAIRNESS_ATTRIBUTE: Final = "ml.fairness.attribute"
"""Slice whose levels are the groups."""

ML_FAIRNESS_GROUP: Final = "ml.fairness.group"
"""One of the groups."""

ML_LABEL_CLASS: Final = "ml.label.class"
"""Class that a share is of."""

ML_LABEL_DELAY_WITHIN: Final = "ml.label.delay.within"
"""Longest time from a prediction to its label."""

ML_TREND_MEASURE: Final = "ml.trend.measure"
"""Figure whose trend it is. The first four take labels."""

ML_TREND_MEASURE_ACCURACY: Final = "accuracy"
"""Share of decided rows that were right."""

ML_TREND_MEASURE_BRIER: Final = "brier"
"""Mean squared distance of scores from outcomes."""

ML_TREND_MEASURE_MAE: Final = "mae"
"""Mean absolute error of a regression."""

ML_TREND_MEASURE_BIAS: Final = "bias"
"""Mean of predicted less true values."""

ML_TREND_MEASURE_ERROR_RATIO: Final = "error_ratio"
"""Share of calls that failed."""

ML_TREND_MEASURE_LATENCY_P95: Final = "latency_p95"
"""Seconds within which 95 % of calls answered."""

ML_TREND_MEASURE_FEATURE_DRIFT: Final = "feature_drift"
"""Mean over the features of PSI against the baseline, without its noise."""

ML_TREND_MEASURE_PREDICTION_DRIFT: Final = "prediction_drift"
"""PSI of the score against the baseline, without its noise; of the value or the decision where there is no score."""

ML_LATENCY_QUANTILE: Final = "ml.latency.quantile"
"""Quantile of the duration."""

ML_DETECTION_KIND: Final = "ml.detection.kind"
"""What the detector watches."""

ML_DETECTION_WAITS_FOR: Final = "ml.detection.waits_for"
"""What a detector waits for that has not scored a window yet, or is on hold."""

ML_DETECTION_WAITS_FOR_LABELS: Final = "labels"
"""True outcomes: no window has had any when its labels were of age."""

ML_DETECTION_WAITS_FOR_LEARNING: Final = "learning"
"""Live windows that show how much windows differ without any change."""

ML_DETECTION_WAITS_FOR_LABELS_MOVED: Final = "labels_moved"
"""Labels that come as they did: while the alarm of the kind labels stands, what they say of the model is not judged."""

ML_DETECTION_WAITS_FOR_ROWS: Final = "rows"
"""Rows: no window, with the small ones before it, has had as many as it takes to score one."""

ML_DETECTION_LEVEL: Final = "ml.detection.level"
"""Of how large a change the evidence is; a fixed rule has none."""

ML_DETECTION_LEVEL_STRONG: Final = "strong"
"""The change is larger than the tolerance."""

ML_DETECTION_LEVEL_EARLY: Final = "early"
"""It is larger than the early tolerance, and may be smaller than the other one."""

ML_DETECTION_SEVERITY: Final = "ml.detection.severity"
"""Whom an alarm is for."""

ML_DETECTION_SEVERITY_PAGE: Final = "page"
"""Somebody is to be woken."""

ML_DETECTION_SEVERITY_TICKET: Final = "ticket"
"""Somebody is to look at it in working hours."""

ML_SLO_NAME: Final = "ml.slo.name"
"""Objective that the event counts towards."""

ML_SLO_OUTCOME: Final = "ml.slo.outcome"
"""Whether the event met the objective."""

ML_MONITORING_STATE: Final = "ml.monitoring.state"
"""Status of the monitoring of a model version."""

CALIDRIS_TENANT: Final = "calidris.tenant"
"""Whose model the figure is of; absent for the default tenant."""

CALIDRIS_REASON: Final = "calidris.reason"
"""Why an item was refused or left out."""

CALIDRIS_STATE: Final = "calidris.state"
"""What the receiver does now."""

CALIDRIS_STATE_STARTING: Final = "starting"
"""reads its journal back and takes nothing yet"""

CALIDRIS_STATE_READY: Final = "ready"
"""takes telemetry"""

CALIDRIS_STATE_STALE: Final = "stale"
"""takes telemetry but cannot renew its figures"""

CALIDRIS_STATE_DRAINING: Final = "draining"
"""was asked to stop and applies what it has acknowledged"""

CALIDRIS_STATE_FAILED: Final = "failed"
"""disk or engine failed and it must be started again"""

CALIDRIS_VERSION: Final = "calidris.version"
"""Version of Calidris."""

METRIC_ML_INFERENCE_DURATION: Final = Metric(
    name="ml.inference.duration",
    unit="s",
    instrument="histogram",
    description="Duration of one call of a model.",
    prometheus="ml_inference_duration_seconds",
)

METRIC_ML_INFERENCE_PREDICTIONS: Final = Metric(
    name="ml.inference.predictions",
    unit="{prediction}",
    instrument="counter",
    description="Predictions made.",
    prometheus="ml_inference_predictions_total",
)

METRIC_ML_INFERENCE_DROPPED: Final = Metric(
    name="ml.inference.dropped",
    unit="{prediction}",
    instrument="counter",
    description="Predictions and labels that were not sent to the monitor, by reason.",
    prometheus="ml_inference_dropped_total",
)

METRIC_ML_INFERENCE_WITHHELD: Final = Metric(
    name="ml.inference.withheld",
    unit="{value}",
    instrument="counter",
    description="Values of predictions that became missing before they were sent.",
    prometheus="ml_inference_withheld_total",
)

METRIC_ML_DRIFT_SCORE: Final = Metric(
    name="ml.drift.score",
    unit="",
    instrument="gauge",
    description="Distance of a window from the baseline.",
    prometheus="ml_drift_score",
)

METRIC_ML_CALIBRATION_SCORE: Final = Metric(
    name="ml.calibration.score",
    unit="",
    instrument="gauge",
    description="Calibration of the scores on labelled rows.",
    prometheus="ml_calibration_score",
)

METRIC_ML_CALIBRATION_SCORE_LOWER: Final = Metric(
    name="ml.calibration.score.lower",
    unit="",
    instrument="gauge",
    description="Lower 95 % bound of the calibration score.",
    prometheus="ml_calibration_score_lower",
)

METRIC_ML_CALIBRATION_SCORE_UPPER: Final = Metric(
    name="ml.calibration.score.upper",
    unit="",
    instrument="gauge",
    description="Upper 95 % bound of the calibration score.",
    prometheus="ml_calibration_score_upper",
)

METRIC_ML_PERFORMANCE_SCORE: Final = Metric(
    name="ml.performance.score",
    unit="",
    instrument="gauge",
    description="Performance of the decisions on labelled rows.",
    prometheus="ml_performance_score",
)

METRIC_ML_PERFORMANCE_SCORE_LOWER: Final = Metric(
    name="ml.performance.score.lower",
    unit="",
    instrument="gauge",
    description="Lower 95 % bound of the performance score.",
    prometheus="ml_performance_score_lower",
)

METRIC_ML_PERFORMANCE_SCORE_UPPER: Final = Metric(
    name="ml.performance.score.upper",
    unit="",
    instrument="gauge",
    description="Upper 95 % bound of the performance score.",
    prometheus="ml_performance_score_upper",
)

METRIC_ML_PERFORMANCE_RESIDUAL: Final = Metric(
    name="ml.performance.residual",
    unit="",
    instrument="gauge",
    description="Performance estimated without labels less the one that labels showed for the same rows.",
    prometheus="ml_performance_residual",
)

METRIC_ML_PERFORMANCE_RESIDUAL_LOWER: Final = Metric(
    name="ml.performance.residual.lower",
    unit="",
    instrument="gauge",
    description="Lower 95 % bound of the residual.",
    prometheus="ml_performance_residual_lower",
)

METRIC_ML_PERFORMANCE_RESIDUAL_UPPER: Final = Metric(
    name="ml.performance.residual.upper",
    unit="",
    instrument="gauge",
    description="Upper 95 % bound of the residual.",
    prometheus="ml_performance_residual_upper",
)

METRIC_ML_PERFORMANCE_TREND: Final = Metric(
    name="ml.performance.trend",
    unit="",
    instrument="gauge",
    description="Change of a figure a day.",
    prometheus="ml_performance_trend",
)

METRIC_ML_PERFORMANCE_TREND_LOWER: Final = Metric(
    name="ml.performance.trend.lower",
    unit="",
    instrument="gauge",
    description="Lower 95 % bound of the trend.",
    prometheus="ml_performance_trend_lower",
)

METRIC_ML_PERFORMANCE_TREND_UPPER: Final = Metric(
    name="ml.performance.trend.upper",
    unit="",
    instrument="gauge",
    description="Upper 95 % bound of the trend.",
    prometheus="ml_performance_trend_upper",
)

METRIC_ML_FAIRNESS_GAP: Final = Metric(
    name="ml.fairness.gap",
    unit="",
    instrument="gauge",
    description="Difference or ratio of a rate between groups.",
    prometheus="ml_fairness_gap",
)

METRIC_ML_FAIRNESS_GAP_LOWER: Final = Metric(
    name="ml.fairness.gap.lower",
    unit="",
    instrument="gauge",
    description="Lower 95 % bound of the fairness gap.",
    prometheus="ml_fairness_gap_lower",
)

METRIC_ML_FAIRNESS_GAP_UPPER: Final = Metric(
    name="ml.fairness.gap.upper",
    unit="",
    instrument="gauge",
    description="Upper 95 % bound of the fairness gap.",
    prometheus="ml_fairness_gap_upper",
)

METRIC_ML_FAIRNESS_RATE: Final = Metric(
    name="ml.fairness.rate",
    unit="",
    instrument="gauge",
    description="Rate of one group; under `{measure}_gap` its distance from all other groups together.",
    prometheus="ml_fairness_rate",
)

METRIC_ML_LABEL_SHARE: Final = Metric(
    name="ml.label.share",
    unit="",
    instrument="gauge",
    description="Share of a class among all rows, estimated without labels.",
    prometheus="ml_label_share",
)

METRIC_ML_LABEL_SHARE_LOWER: Final = Metric(
    name="ml.label.share.lower",
    unit="",
    instrument="gauge",
    description="Lower 95 % bound of the share.",
    prometheus="ml_label_share_lower",
)

METRIC_ML_LABEL_SHARE_UPPER: Final = Metric(
    name="ml.label.share.upper",
    unit="",
    instrument="gauge",
    description="Upper 95 % bound of the share.",
    prometheus="ml_label_share_upper",
)

METRIC_ML_LABEL_DELAY: Final = Metric(
    name="ml.label.delay",
    unit="",
    instrument="gauge",
    description="Share of labels that come within a delay.",
    prometheus="ml_label_delay",
)

METRIC_ML_DATA_QUALITY_RATIO: Final = Metric(
    name="ml.data_quality.ratio",
    unit="",
    instrument="gauge",
    description="Share of rows of a window with a data fault.",
    prometheus="ml_data_quality_ratio",
)

METRIC_ML_DATA_QUALITY_VIOLATIONS: Final = Metric(
    name="ml.data_quality.violations",
    unit="{row}",
    instrument="counter",
    description="Rows in which a feature was not what the settings state of the model's inputs.",
    prometheus="ml_data_quality_violations_total",
)

METRIC_ML_LATENCY_DURATION: Final = Metric(
    name="ml.latency.duration",
    unit="s",
    instrument="gauge",
    description="Quantile of the duration of the calls in a window.",
    prometheus="ml_latency_duration_seconds",
)

METRIC_ML_ERROR_RATIO: Final = Metric(
    name="ml.error.ratio",
    unit="",
    instrument="gauge",
    description="Share of rows of a window whose call failed.",
    prometheus="ml_error_ratio",
)

METRIC_ML_LABEL_COVERAGE: Final = Metric(
    name="ml.label.coverage",
    unit="",
    instrument="gauge",
    description="Share of rows of a window whose label is known.",
    prometheus="ml_label_coverage",
)

METRIC_ML_WINDOW_LATE: Final = Metric(
    name="ml.window.late",
    unit="",
    instrument="gauge",
    description="Share of rows of a window that came after their step was closed.",
    prometheus="ml_window_late",
)

METRIC_ML_WINDOW_STATUS: Final = Metric(
    name="ml.window.status",
    unit="",
    instrument="gauge",
    description="1 for the status of the figures of a window: ok, partial (not full yet, or 5 % of its rows came late), stale or mixed_baseline.",
    prometheus="ml_window_status",
)

METRIC_ML_WINDOW_ROWS: Final = Metric(
    name="ml.window.rows",
    unit="{row}",
    instrument="gauge",
    description="Rows in a window.",
    prometheus="ml_window_rows",
)

METRIC_ML_DETECTION_EVIDENCE: Final = Metric(
    name="ml.detection.evidence",
    unit="",
    instrument="gauge",
    description="Evidence of a change as a share of what the false-alarm budget asks for, in logarithms: 1 is an alarm. Without a feature: of the whole model.",
    prometheus="ml_detection_evidence",
)

METRIC_ML_DETECTION_ALARM: Final = Metric(
    name="ml.detection.alarm",
    unit="",
    instrument="gauge",
    description="1 while an alarm is latched, else 0.",
    prometheus="ml_detection_alarm",
)

METRIC_ML_DETECTION_ONSET: Final = Metric(
    name="ml.detection.onset",
    unit="s",
    instrument="gauge",
    description="When the change began that the newest latched alarm names: begin of a window, unix time. Absent without a latched alarm, and where it is not known.",
    prometheus="ml_detection_onset_seconds",
)

METRIC_ML_DETECTION_ALARM_RENEWED: Final = Metric(
    name="ml.detection.alarm.renewed",
    unit="",
    instrument="gauge",
    description="1 for each thing that renewed a latched alarm which does not name it (of each renewal the ten with most evidence), until the renewal is cleared.",
    prometheus="ml_detection_alarm_renewed",
)

METRIC_ML_DETECTION_ALARM_SILENT: Final = Metric(
    name="ml.detection.alarm.silent",
    unit="",
    instrument="gauge",
    description="1 where every latched alarm was raised after the rows of the model had stopped for half an hour, as labels or late windows do, else 0.",
    prometheus="ml_detection_alarm_silent",
)

METRIC_ML_DETECTION_WAITING: Final = Metric(
    name="ml.detection.waiting",
    unit="{detector}",
    instrument="gauge",
    description="Detectors that have not scored a window yet, or are on hold, by what they wait for. Where all of a kind wait, it has no evidence.",
    prometheus="ml_detection_waiting",
)

METRIC_ML_DETECTION_ALARMS: Final = Metric(
    name="ml.detection.alarms",
    unit="{alarm}",
    instrument="counter",
    description="Alarms raised since the state began.",
    prometheus="ml_detection_alarms_total",
)

METRIC_ML_MONITORING_STATUS: Final = Metric(
    name="ml.monitoring.status",
    unit="",
    instrument="gauge",
    description="1 for the status that the monitoring of a model version has now.",
    prometheus="ml_monitoring_status",
)

METRIC_ML_RECEIVED_ROWS: Final = Metric(
    name="ml.received.rows",
    unit="{row}",
    instrument="counter",
    description="Predictions received and counted.",
    prometheus="ml_received_rows_total",
)

METRIC_ML_RECEIVED_LATE: Final = Metric(
    name="ml.received.late",
    unit="{row}",
    instrument="counter",
    description="Predictions received after their window was closed: shown, never scored.",
    prometheus="ml_received_late_total",
)

METRIC_ML_MONITORING_BATCH: Final = Metric(
    name="ml.monitoring.batch",
    unit="",
    instrument="gauge",
    description="1 for a model version whose rows come in jobs: between two of them it is not silent.",
    prometheus="ml_monitoring_batch",
)

METRIC_ML_RECEIVED_LABELS: Final = Metric(
    name="ml.received.labels",
    unit="{label}",
    instrument="counter",
    description="Labels received and joined to their prediction.",
    prometheus="ml_received_labels_total",
)

METRIC_ML_SLO_EVENTS: Final = Metric(
    name="ml.slo.events",
    unit="{event}",
    instrument="counter",
    description="Predictions that did or did not meet an objective.",
    prometheus="ml_slo_events_total",
)

METRIC_CALIDRIS_RECEIVER_REQUESTS: Final = Metric(
    name="calidris.receiver.requests",
    unit="{request}",
    instrument="counter",
    description="OTLP requests answered.",
    prometheus="calidris_receiver_requests_total",
)

METRIC_CALIDRIS_RECEIVER_SPANS_REJECTED: Final = Metric(
    name="calidris.receiver.spans.rejected",
    unit="{span}",
    instrument="counter",
    description="Model spans refused by partial success.",
    prometheus="calidris_receiver_spans_rejected_total",
)

METRIC_CALIDRIS_RECEIVER_ROWS_LATE: Final = Metric(
    name="calidris.receiver.rows.late",
    unit="{row}",
    instrument="counter",
    description="Rows whose window was already sealed; shown but not scored.",
    prometheus="calidris_receiver_rows_late_total",
)

METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE: Final = Metric(
    name="calidris.receiver.requests.duplicate",
    unit="{request}",
    instrument="counter",
    description="Requests recognised as retries and not counted again.",
    prometheus="calidris_receiver_requests_duplicate_total",
)

METRIC_CALIDRIS_RECEIVER_VALUES_NON_FINITE: Final = Metric(
    name="calidris.receiver.values.non_finite",
    unit="{value}",
    instrument="counter",
    description="Infinite values, kept as missing, and values beyond 1e300, which are out of range.",
    prometheus="calidris_receiver_values_non_finite_total",
)

METRIC_CALIDRIS_RECEIVER_SCORES_CLIPPED: Final = Metric(
    name="calidris.receiver.scores.clipped",
    unit="{value}",
    instrument="counter",
    description="Scores a rounding error outside of 0 to 1, cut off there.",
    prometheus="calidris_receiver_scores_clipped_total",
)

METRIC_CALIDRIS_LABELS_UNMATCHED: Final = Metric(
    name="calidris.labels.unmatched",
    unit="{label}",
    instrument="counter",
    description="Labels that were not joined, by reason.",
    prometheus="calidris_labels_unmatched_total",
)

METRIC_CALIDRIS_JOURNAL_SIZE: Final = Metric(
    name="calidris.journal.size",
    unit="By",
    instrument="gauge",
    description="Bytes of journal on disk.",
    prometheus="calidris_journal_size_bytes",
)

METRIC_CALIDRIS_QUEUE_SIZE: Final = Metric(
    name="calidris.queue.size",
    unit="By",
    instrument="gauge",
    description="Bytes of requests admitted and not yet applied.",
    prometheus="calidris_queue_size_bytes",
)

METRIC_CALIDRIS_CHECKPOINT_AGE: Final = Metric(
    name="calidris.checkpoint.age",
    unit="s",
    instrument="gauge",
    description="Time since the last checkpoint.",
    prometheus="calidris_checkpoint_age_seconds",
)

METRIC_CALIDRIS_PANES_DELETED: Final = Metric(
    name="calidris.panes.deleted",
    unit="{pane}",
    instrument="counter",
    description="Days of counts that were deleted because they are older than storage.retention.days.",
    prometheus="calidris_panes_deleted_total",
)

METRIC_CALIDRIS_MODELS_OVERFLOW: Final = Metric(
    name="calidris.models.overflow",
    unit="{row}",
    instrument="counter",
    description="Rows of model versions beyond a cap on them, by cap.",
    prometheus="calidris_models_overflow_total",
)

METRIC_CALIDRIS_MODELS_RETIRED: Final = Metric(
    name="calidris.models.retired",
    unit="{model}",
    instrument="counter",
    description="Silent model versions that were forgotten to make room for new ones.",
    prometheus="calidris_models_retired_total",
)

METRIC_CALIDRIS_ROWS_RETIRED: Final = Metric(
    name="calidris.rows.retired",
    unit="{row}",
    instrument="counter",
    description="Predictions that had been counted for retired model versions.",
    prometheus="calidris_rows_retired_total",
)

METRIC_CALIDRIS_LABELS_RETIRED: Final = Metric(
    name="calidris.labels.retired",
    unit="{label}",
    instrument="counter",
    description="Labels that had been joined for retired model versions.",
    prometheus="calidris_labels_retired_total",
)

METRIC_CALIDRIS_LIMITS_OVERFLOW: Final = Metric(
    name="calidris.limits.overflow",
    unit="{value}",
    instrument="counter",
    description="Values of counted rows that a cap keeps from being counted by name, by cap.",
    prometheus="calidris_limits_overflow_total",
)

METRIC_CALIDRIS_EXPORT_SERIES_DROPPED: Final = Metric(
    name="calidris.export.series.dropped",
    unit="{series}",
    instrument="gauge",
    description="Series that are left out now because a model, a tenant or all together reached a cap.",
    prometheus="calidris_export_series_dropped",
)

METRIC_CALIDRIS_ENGINE_FAILURES: Final = Metric(
    name="calidris.engine.failures",
    unit="{record}",
    instrument="counter",
    description="Journal records",
    prometheus="calidris_engine_failures_total",
)

METRIC_CALIDRIS_ACCESS_REFUSED: Final = Metric(
    name="calidris.access.refused",
    unit="{request}",
    instrument="counter",
    description="Sendings, readings and decisions that were refused for want of a token that may.",
    prometheus="calidris_access_refused_total",
)

METRIC_CALIDRIS_ACCESS_FAILURES: Final = Metric(
    name="calidris.access.failures",
    unit="{change}",
    instrument="counter",
    description="Changes of the file of tokens or of certificates that could not be used; what was read before stays in force.",
    prometheus="calidris_access_failures_total",
)

METRIC_CALIDRIS_JOURNAL_LOST: Final = Metric(
    name="calidris.journal.lost",
    unit="{record}",
    instrument="counter",
    description="Journal records that could not be read back after a start.",
    prometheus="calidris_journal_lost_total",
)

METRIC_CALIDRIS_RECEIVER_REQUESTS_BEGUN: Final = Metric(
    name="calidris.receiver.requests.begun",
    unit="{request}",
    instrument="counter",
    description="Calls that the transport has seen, by signal; those without an answer were cut off or are under way.",
    prometheus="calidris_receiver_requests_begun_total",
)

METRIC_CALIDRIS_RECEIVER_RECEIVED: Final = Metric(
    name="calidris.receiver.received",
    unit="By",
    instrument="counter",
    description="Bytes of requests with telemetry for us or others, uncompressed.",
    prometheus="calidris_receiver_received_bytes_total",
)

METRIC_CALIDRIS_RECEIVER_SPANS_RECEIVED: Final = Metric(
    name="calidris.receiver.spans.received",
    unit="{span}",
    instrument="counter",
    description="Spans of acknowledged requests: accepted, rejected or ignored.",
    prometheus="calidris_receiver_spans_received_total",
)

METRIC_CALIDRIS_RECEIVER_SPANS_ACCEPTED: Final = Metric(
    name="calidris.receiver.spans.accepted",
    unit="{span}",
    instrument="counter",
    description="Spans of predictions and labels that were acknowledged.",
    prometheus="calidris_receiver_spans_accepted_total",
)

METRIC_CALIDRIS_RECEIVER_SPANS_IGNORED: Final = Metric(
    name="calidris.receiver.spans.ignored",
    unit="{span}",
    instrument="counter",
    description="Spans that are none of ours: other telemetry, and markers without rows.",
    prometheus="calidris_receiver_spans_ignored_total",
)

METRIC_CALIDRIS_RECEIVER_ROWS_ACCEPTED: Final = Metric(
    name="calidris.receiver.rows.accepted",
    unit="{row}",
    instrument="counter",
    description="Predictions and labels in accepted spans.",
    prometheus="calidris_receiver_rows_accepted_total",
)

METRIC_CALIDRIS_RECEIVER_STATE: Final = Metric(
    name="calidris.receiver.state",
    unit="",
    instrument="gauge",
    description="1 for what the receiver does now.",
    prometheus="calidris_receiver_state",
)

METRIC_CALIDRIS_ENGINE_ROWS: Final = Metric(
    name="calidris.engine.rows",
    unit="{row}",
    instrument="counter",
    description="Predictions read from the journal: on time, late, duplicate, overflow or failed.",
    prometheus="calidris_engine_rows_total",
)

METRIC_CALIDRIS_ENGINE_LABELS: Final = Metric(
    name="calidris.engine.labels",
    unit="{label}",
    instrument="counter",
    description="Labels read from the journal: joined, revised, unmatched, duplicate or early.",
    prometheus="calidris_engine_labels_total",
)

METRIC_CALIDRIS_ENGINE_ROWS_FAILED: Final = Metric(
    name="calidris.engine.rows.failed",
    unit="{row}",
    instrument="counter",
    description="Predictions that the engine could not count; each is a defect of ours.",
    prometheus="calidris_engine_rows_failed_total",
)

METRIC_CALIDRIS_RECEIVER_SPANS_DUPLICATE: Final = Metric(
    name="calidris.receiver.spans.duplicate",
    unit="{span}",
    instrument="counter",
    description="Spans of predictions and labels that came before, alone or with their whole request, not counted again.",
    prometheus="calidris_receiver_spans_duplicate_total",
)

METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE: Final = Metric(
    name="calidris.receiver.rows.duplicate",
    unit="{row}",
    instrument="counter",
    description="Predictions of repeated requests and spans, not counted again.",
    prometheus="calidris_receiver_rows_duplicate_total",
)

METRIC_CALIDRIS_RECEIVER_TIMES_CLAMPED: Final = Metric(
    name="calidris.receiver.times.clamped",
    unit="{row}",
    instrument="counter",
    description="Rows whose time was moved into the range that their arrival allows.",
    prometheus="calidris_receiver_times_clamped_total",
)

METRIC_CALIDRIS_LABELS_REVISED: Final = Metric(
    name="calidris.labels.revised",
    unit="{label}",
    instrument="counter",
    description="Labels that took the place of an earlier one for the same prediction.",
    prometheus="calidris_labels_revised_total",
)

METRIC_CALIDRIS_LABELS_DUPLICATE: Final = Metric(
    name="calidris.labels.duplicate",
    unit="{label}",
    instrument="counter",
    description="Labels of repeated requests and spans, not counted again.",
    prometheus="calidris_labels_duplicate_total",
)

METRIC_CALIDRIS_LABELS_EARLY: Final = Metric(
    name="calidris.labels.early",
    unit="{label}",
    instrument="gauge",
    description="Labels that came before their prediction and wait for it.",
    prometheus="calidris_labels_early",
)

METRIC_CALIDRIS_DEDUP_HORIZON: Final = Metric(
    name="calidris.dedup.horizon",
    unit="s",
    instrument="gauge",
    description="How far back requests and spans are remembered to recognise repeats; below receiver.dedup_horizon where too many came within it.",
    prometheus="calidris_dedup_horizon_seconds",
)

METRIC_CALIDRIS_QUEUE_ITEMS: Final = Metric(
    name="calidris.queue.items",
    unit="{request}",
    instrument="gauge",
    description="Requests that are durable and decoded and not yet applied.",
    prometheus="calidris_queue_items",
)

METRIC_CALIDRIS_QUEUE_LIMIT: Final = Metric(
    name="calidris.queue.limit",
    unit="By",
    instrument="gauge",
    description="Bytes of requests that may be admitted and not yet applied.",
    prometheus="calidris_queue_limit_bytes",
)

METRIC_CALIDRIS_LAG_RECORDS: Final = Metric(
    name="calidris.lag.records",
    unit="{record}",
    instrument="gauge",
    description="Journal records that are durable and not yet applied.",
    prometheus="calidris_lag_records",
)

METRIC_CALIDRIS_LAG_TIME: Final = Metric(
    name="calidris.lag.time",
    unit="s",
    instrument="gauge",
    description="Time since the oldest record arrived that is durable and not yet applied; 0 without one.",
    prometheus="calidris_lag_time_seconds",
)

METRIC_CALIDRIS_JOURNAL_LIVE: Final = Metric(
    name="calidris.journal.live",
    unit="By",
    instrument="gauge",
    description="Bytes of journal that count towards its cap.",
    prometheus="calidris_journal_live_bytes",
)

METRIC_CALIDRIS_JOURNAL_LIMIT: Final = Metric(
    name="calidris.journal.limit",
    unit="By",
    instrument="gauge",
    description="Cap on the bytes of the journal that no checkpoint covers.",
    prometheus="calidris_journal_limit_bytes",
)

METRIC_CALIDRIS_JOURNAL_RECORDS: Final = Metric(
    name="calidris.journal.records",
    unit="{record}",
    instrument="counter",
    description="Records made durable.",
    prometheus="calidris_journal_records_total",
)

METRIC_CALIDRIS_JOURNAL_SYNCS: Final = Metric(
    name="calidris.journal.syncs",
    unit="{sync}",
    instrument="counter",
    description="Groups of records made durable.",
    prometheus="calidris_journal_syncs_total",
)

METRIC_CALIDRIS_JOURNAL_SYNC_TIME: Final = Metric(
    name="calidris.journal.sync.time",
    unit="s",
    instrument="counter",
    description="Time that writing and syncing groups took.",
    prometheus="calidris_journal_sync_time_seconds_total",
)

METRIC_CALIDRIS_JOURNAL_SYNC_MAX: Final = Metric(
    name="calidris.journal.sync.max",
    unit="s",
    instrument="gauge",
    description="Longest time for one group in the last minute or two.",
    prometheus="calidris_journal_sync_max_seconds",
)

METRIC_CALIDRIS_JOURNAL_TORN: Final = Metric(
    name="calidris.journal.torn",
    unit="By",
    instrument="counter",
    description="Bytes cut off the end of the journal at the start: a write cut short and never acknowledged.",
    prometheus="calidris_journal_torn_bytes_total",
)

METRIC_CALIDRIS_CHECKPOINT_SAVES: Final = Metric(
    name="calidris.checkpoint.saves",
    unit="{checkpoint}",
    instrument="counter",
    description="Checkpoints written.",
    prometheus="calidris_checkpoint_saves_total",
)

METRIC_CALIDRIS_CHECKPOINT_TIME: Final = Metric(
    name="calidris.checkpoint.time",
    unit="s",
    instrument="counter",
    description="Time that writing checkpoints took.",
    prometheus="calidris_checkpoint_time_seconds_total",
)

METRIC_CALIDRIS_CHECKPOINT_DURATION: Final = Metric(
    name="calidris.checkpoint.duration",
    unit="s",
    instrument="gauge",
    description="Time that the newest checkpoint took.",
    prometheus="calidris_checkpoint_duration_seconds",
)

METRIC_CALIDRIS_CHECKPOINT_SIZE: Final = Metric(
    name="calidris.checkpoint.size",
    unit="By",
    instrument="gauge",
    description="Bytes of the checkpoint on disk.",
    prometheus="calidris_checkpoint_size_bytes",
)

METRIC_CALIDRIS_CLOCK_OFFSET: Final = Metric(
    name="calidris.clock.offset",
    unit="s",
    instrument="gauge",
    description="How far the clock is ahead of the time that windows close by, because it jumped and no telemetry confirms it; negative: behind that time, or behind the newest closed window.",
    prometheus="calidris_clock_offset_seconds",
)

METRIC_CALIDRIS_SNAPSHOT_AGE: Final = Metric(
    name="calidris.snapshot.age",
    unit="s",
    instrument="gauge",
    description="Time since the figures were last renewed.",
    prometheus="calidris_snapshot_age_seconds",
)

METRIC_CALIDRIS_SNAPSHOT_DURATION: Final = Metric(
    name="calidris.snapshot.duration",
    unit="s",
    instrument="gauge",
    description="Time that renewing the figures took the last time.",
    prometheus="calidris_snapshot_duration_seconds",
)

METRIC_CALIDRIS_REPLAY_RECORDS: Final = Metric(
    name="calidris.replay.records",
    unit="{record}",
    instrument="counter",
    description="Journal records applied again at the start.",
    prometheus="calidris_replay_records_total",
)

METRIC_CALIDRIS_REPLAY_DURATION: Final = Metric(
    name="calidris.replay.duration",
    unit="s",
    instrument="gauge",
    description="Time that the replay at the start has taken.",
    prometheus="calidris_replay_duration_seconds",
)

METRIC_CALIDRIS_EXPORT_PUSHES: Final = Metric(
    name="calidris.export.pushes",
    unit="{push}",
    instrument="counter",
    description="Pushes of metrics that the OTLP target took.",
    prometheus="calidris_export_pushes_total",
)

METRIC_CALIDRIS_EXPORT_PUSHES_FAILED: Final = Metric(
    name="calidris.export.pushes.failed",
    unit="{push}",
    instrument="counter",
    description="Pushes of metrics that failed; the next one carries the newest values.",
    prometheus="calidris_export_pushes_failed_total",
)

METRIC_CALIDRIS_LOG_SUPPRESSED: Final = Metric(
    name="calidris.log.suppressed",
    unit="{line}",
    instrument="counter",
    description="Log lines left out because the same place had said much already.",
    prometheus="calidris_log_suppressed_total",
)

METRIC_CALIDRIS_PROCESS_MEMORY: Final = Metric(
    name="calidris.process.memory",
    unit="By",
    instrument="gauge",
    description="Resident memory of the receiver.",
    prometheus="calidris_process_memory_bytes",
)

METRIC_CALIDRIS_PROCESS_DESCRIPTORS: Final = Metric(
    name="calidris.process.descriptors",
    unit="{descriptor}",
    instrument="gauge",
    description="Open file descriptors of the receiver.",
    prometheus="calidris_process_descriptors",
)

METRIC_CALIDRIS_PROCESS_DESCRIPTORS_LIMIT: Final = Metric(
    name="calidris.process.descriptors.limit",
    unit="{descriptor}",
    instrument="gauge",
    description="File descriptors that the receiver may open.",
    prometheus="calidris_process_descriptors_limit",
)

METRIC_CALIDRIS_PROCESS_THREADS: Final = Metric(
    name="calidris.process.threads",
    unit="{thread}",
    instrument="gauge",
    description="Threads of the receiver.",
    prometheus="calidris_process_threads",
)

METRIC_CALIDRIS_PROCESS_CPU_TIME: Final = Metric(
    name="calidris.process.cpu.time",
    unit="s",
    instrument="counter",
    description="Processor time of the receiver.",
    prometheus="calidris_process_cpu_time_seconds_total",
)

METRIC_CALIDRIS_PROCESS_UPTIME: Final = Metric(
    name="calidris.process.uptime",
    unit="s",
    instrument="gauge",
    description="Time since the receiver started.",
    prometheus="calidris_process_uptime_seconds",
)

METRIC_CALIDRIS_BUILD_INFO: Final = Metric(
    name="calidris.build.info",
    unit="",
    instrument="gauge",
    description="1, with the version that runs.",
    prometheus="calidris_build_info",
)

METRICS: Final = (
    METRIC_ML_INFERENCE_DURATION,
    METRIC_ML_INFERENCE_PREDICTIONS,
    METRIC_ML_INFERENCE_DROPPED,
    METRIC_ML_INFERENCE_WITHHELD,
    METRIC_ML_DRIFT_SCORE,
    METRIC_ML_CALIBRATION_SCORE,
    METRIC_ML_CALIBRATION_SCORE_LOWER,
    METRIC_ML_CALIBRATION_SCORE_UPPER,
    METRIC_ML_PERFORMANCE_SCORE,
    METRIC_ML_PERFORMANCE_SCORE_LOWER,
    METRIC_ML_PERFORMANCE_SCORE_UPPER,
    METRIC_ML_PERFORMANCE_RESIDUAL,
    METRIC_ML_PERFORMANCE_RESIDUAL_LOWER,
    METRIC_ML_PERFORMANCE_RESIDUAL_UPPER,
    METRIC_ML_PERFORMANCE_TREND,
    METRIC_ML_PERFORMANCE_TREND_LOWER,
    METRIC_ML_PERFORMANCE_TREND_UPPER,
    METRIC_ML_FAIRNESS_GAP,
    METRIC_ML_FAIRNESS_GAP_LOWER,
    METRIC_ML_FAIRNESS_GAP_UPPER,
    METRIC_ML_FAIRNESS_RATE,
    METRIC_ML_LABEL_SHARE,
    METRIC_ML_LABEL_SHARE_LOWER,
    METRIC_ML_LABEL_SHARE_UPPER,
    METRIC_ML_LABEL_DELAY,
    METRIC_ML_DATA_QUALITY_RATIO,
    METRIC_ML_DATA_QUALITY_VIOLATIONS,
    METRIC_ML_LATENCY_DURATION,
    METRIC_ML_ERROR_RATIO,
    METRIC_ML_LABEL_COVERAGE,
    METRIC_ML_WINDOW_LATE,
    METRIC_ML_WINDOW_STATUS,
    METRIC_ML_WINDOW_ROWS,
    METRIC_ML_DETECTION_EVIDENCE,
    METRIC_ML_DETECTION_ALARM,
    METRIC_ML_DETECTION_ONSET,
    METRIC_ML_DETECTION_ALARM_RENEWED,
    METRIC_ML_DETECTION_ALARM_SILENT,
    METRIC_ML_DETECTION_WAITING,
    METRIC_ML_DETECTION_ALARMS,
    METRIC_ML_MONITORING_STATUS,
    METRIC_ML_RECEIVED_ROWS,
    METRIC_ML_RECEIVED_LATE,
    METRIC_ML_MONITORING_BATCH,
    METRIC_ML_RECEIVED_LABELS,
    METRIC_ML_SLO_EVENTS,
    METRIC_CALIDRIS_RECEIVER_REQUESTS,
    METRIC_CALIDRIS_RECEIVER_SPANS_REJECTED,
    METRIC_CALIDRIS_RECEIVER_ROWS_LATE,
    METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE,
    METRIC_CALIDRIS_RECEIVER_VALUES_NON_FINITE,
    METRIC_CALIDRIS_RECEIVER_SCORES_CLIPPED,
    METRIC_CALIDRIS_LABELS_UNMATCHED,
    METRIC_CALIDRIS_JOURNAL_SIZE,
    METRIC_CALIDRIS_QUEUE_SIZE,
    METRIC_CALIDRIS_CHECKPOINT_AGE,
    METRIC_CALIDRIS_PANES_DELETED,
    METRIC_CALIDRIS_MODELS_OVERFLOW,
    METRIC_CALIDRIS_MODELS_RETIRED,
    METRIC_CALIDRIS_ROWS_RETIRED,
    METRIC_CALIDRIS_LABELS_RETIRED,
    METRIC_CALIDRIS_LIMITS_OVERFLOW,
    METRIC_CALIDRIS_EXPORT_SERIES_DROPPED,
    METRIC_CALIDRIS_ENGINE_FAILURES,
    METRIC_CALIDRIS_ACCESS_REFUSED,
    METRIC_CALIDRIS_ACCESS_FAILURES,
    METRIC_CALIDRIS_JOURNAL_LOST,
    METRIC_CALIDRIS_RECEIVER_REQUESTS_BEGUN,
    METRIC_CALIDRIS_RECEIVER_RECEIVED,
    METRIC_CALIDRIS_RECEIVER_SPANS_RECEIVED,
    METRIC_CALIDRIS_RECEIVER_SPANS_ACCEPTED,
    METRIC_CALIDRIS_RECEIVER_SPANS_IGNORED,
    METRIC_CALIDRIS_RECEIVER_ROWS_ACCEPTED,
    METRIC_CALIDRIS_RECEIVER_STATE,
    METRIC_CALIDRIS_ENGINE_ROWS,
    METRIC_CALIDRIS_ENGINE_LABELS,
    METRIC_CALIDRIS_ENGINE_ROWS_FAILED,
    METRIC_CALIDRIS_RECEIVER_SPANS_DUPLICATE,
    METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE,
    METRIC_CALIDRIS_RECEIVER_TIMES_CLAMPED,
    METRIC_CALIDRIS_LABELS_REVISED,
    METRIC_CALIDRIS_LABELS_DUPLICATE,
    METRIC_CALIDRIS_LABELS_EARLY,
    METRIC_CALIDRIS_DEDUP_HORIZON,
    METRIC_CALIDRIS_QUEUE_ITEMS,
    METRIC_CALIDRIS_QUEUE_LIMIT,
    METRIC_CALIDRIS_LAG_RECORDS,
    METRIC_CALIDRIS_LAG_TIME,
    METRIC_CALIDRIS_JOURNAL_LIVE,
    METRIC_CALIDRIS_JOURNAL_LIMIT,
    METRIC_CALIDRIS_JOURNAL_RECORDS,
    METRIC_CALIDRIS_JOURNAL_SYNCS,
    METRIC_CALIDRIS_JOURNAL_SYNC_TIME,
    METRIC_CALIDRIS_JOURNAL_SYNC_MAX,
    METRIC_CALIDRIS_JOURNAL_TORN,
    METRIC_CALIDRIS_CHECKPOINT_SAVES,
    METRIC_CALIDRIS_CHECKPOINT_TIME,
    METRIC_CALIDRIS_CHECKPOINT_DURATION,
    METRIC_CALIDRIS_CHECKPOINT_SIZE,
    METRIC_CALIDRIS_CLOCK_OFFSET,
    METRIC_CALIDRIS_SNAPSHOT_AGE,
    METRIC_CALIDRIS_SNAPSHOT_DURATION,
    METRIC_CALIDRIS_REPLAY_RECORDS,
    METRIC_CALIDRIS_REPLAY_DURATION,
    METRIC_CALIDRIS_EXPORT_PUSHES,
    METRIC_CALIDRIS_EXPORT_PUSHES_FAILED,
    METRIC_CALIDRIS_LOG_SUPPRESSED,
    METRIC_CALIDRIS_PROCESS_MEMORY,
    METRIC_CALIDRIS_PROCESS_DESCRIPTORS,
    METRIC_CALIDRIS_PROCESS_DESCRIPTORS_LIMIT,
    METRIC_CALIDRIS_PROCESS_THREADS,
    METRIC_CALIDRIS_PROCESS_CPU_TIME,
    METRIC_CALIDRIS_PROCESS_UPTIME,
    METRIC_CALIDRIS_BUILD_INFO,
)
