"""The rules in the real promtool: given these series, this alert fires at this minute; and without them it does not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from calidris.config import CalidrisConfig
from calidris.grafana import render

Promtool = Callable[..., subprocess.CompletedProcess[str]]
WHO = 'ml_model_name="credit",ml_model_version="7"'
OTHER = 'ml_model_name="other",ml_model_version="1"'
SCOPE = 'otel_scope_name="calidris",job="calidris",instance="a:1"'
OK = f'ml_monitoring_status{{{WHO},ml_monitoring_state="ok"}}'
BASE = f'{WHO},ml_window="baseline",ml_label_maturity="fixed_age"'
HOUR = f'{WHO},ml_window="1h",ml_label_maturity="fixed_age"'
BRIER = 'ml_calibration_measure="brier"'
ACCURACY = 'ml_performance_measure="accuracy",ml_performance_source="labels"'
BAD = 'ml_slo_events_total{ml_model_name="credit",ml_model_version="7",ml_slo_name="errors",ml_slo_outcome="bad"}'
GOOD = BAD.replace('"bad"', '"good"')
LATENCY = BAD.replace('"errors"', '"latency"').replace("credit", "fraud (eu+uk)")

STRONG = 'ml_detection_level="strong",ml_detection_severity="page"'
PAGED = STRONG
EARLY = 'ml_detection_level="early",ml_detection_severity="ticket"'
LOSSES = f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="performance"'
DRIFT = LOSSES.replace("performance", "drift").replace("credit", "fraud (eu+uk)")

ROWS_STOP = {f"ml_received_rows_total{{{WHO}}}": "0+100x120 12000x280 12000+100x800"}
"""From the second hour on no rows come, until they come again in the seventh."""


MOVED = {
    f'ml_detection_waiting{{{WHO},ml_window="{window}",ml_detection_kind="performance",ml_detection_waits_for="labels_moved"}}': "_x59 1x540"
    for window in ("5m", "1h")
}
"""From the second hour to the tenth what labels say is on hold."""


class Case(NamedTuple):
    """Series by the minute, when the alert must and must not fire, and how often rules are evaluated."""

    alert: str
    series: dict[str, str]
    fires: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    every: str = "1m"


CASES = {
    "drift": Case(
        'alertname="ModelDrift",severity="ticket",owner="risk-ml",tier="high",ml_window="1h",ml_detection_kind="drift"',
        {f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="drift",{SCOPE}}}': "0x9 1x20 0x30"},
        fires=("10m", "29m", "38m"),
        quiet=("9m", "45m"),
    ),
    "losses beyond the budget page": Case(
        'alertname="ModelPerformanceAlarm",severity="page",owner="risk-ml",ml_detection_kind="performance"',
        {f"{LOSSES},{STRONG},{SCOPE}}}": "0x9 1x20 0x30", f"{LOSSES},{EARLY},{SCOPE}}}": "0x60"},
        fires=("10m", "29m"),
        quiet=("9m", "45m"),
    ),
    "an early alarm of losses pages nobody": Case(
        'alertname="ModelPerformanceAlarm",severity="page"',
        {f"{LOSSES},{EARLY}}}": "0x9 1x20 0x30", f"{LOSSES},{STRONG}}}": "0x60"},
        quiet=("9m", "10m", "29m", "45m"),
    ),
    "an early alarm of losses is a ticket until it becomes strong": Case(
        'alertname="ModelPerformanceAlarm",severity="ticket",owner="risk-ml",ml_detection_kind="performance"',
        {f"{LOSSES},{EARLY}}}": "0x9 1x20 0x60", f"{LOSSES},{STRONG}}}": "0x29 1x60"},
        fires=("10m", "29m"),
        quiet=("9m", "45m"),
    ),
    "an early alarm of losses that became strong pages": Case(
        'alertname="ModelPerformanceAlarm",severity="page",owner="risk-ml",ml_detection_kind="performance"',
        {f"{LOSSES},{EARLY}}}": "0x9 1x20 0x60", f"{LOSSES},{STRONG}}}": "0x29 1x60"},
        fires=("30m", "45m"),
        quiet=("10m", "29m"),
    ),
    "drift of a model whose settings say so pages": Case(
        'alertname="ModelDrift",severity="page",ml_model_name="fraud (eu+uk)",owner="pay$ments"',
        {f"{DRIFT},{PAGED}}}": "0x9 1x20 0x30", f"{DRIFT},{EARLY}}}": "0x60"},
        fires=("10m", "29m"),
        quiet=("9m", "45m"),
    ),
    "early drift of the same model is a ticket": Case(
        'alertname="ModelDrift",severity="page",ml_model_name="fraud (eu+uk)"',
        {f"{DRIFT},{PAGED}}}": "0x60", f"{DRIFT},{EARLY}}}": "0x9 1x20 0x30"},
        quiet=("10m", "29m"),
    ),
    "labels that moved are a ticket, and no other alarm": Case(
        'alertname=~"ModelLabelsMoved|ModelAlarm",severity="ticket",owner="risk-ml",ml_detection_kind="labels"',
        {f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="labels",{SCOPE}}}': "0x9 1x20 0x30"},
        fires=("10m", "29m"),
        quiet=("9m", "45m"),
    ),
    "labels that moved raise no alert of another name": Case(
        'alertname!="ModelLabelsMoved",alertname=~"Model.+"',
        {f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="labels",{SCOPE}}}': "0x9 1x50"},
        quiet=("9m", "11m", "45m"),
    ),
    "losses and calibration of labels that moved are no news": Case(
        'alertname=~"ModelPerformanceLost|ModelCalibrationLost"',
        MOVED
        | {
            f"ml_performance_score_upper{{{HOUR},{ACCURACY}}}": "0.9x59 0.7x900",
            f"ml_performance_score_lower{{{BASE},{ACCURACY}}}": "0.8x900",
            f"ml_calibration_score_lower{{{HOUR},{BRIER}}}": "0.1x59 0.14x900",
            f"ml_calibration_score_upper{{{BASE},{BRIER}}}": "0.12x900",
            OK: "1x900",
        },
        quiet=("2h", "5h", "8h", "9h50m"),
        fires=("13h30m",),
        every="5m",
    ),
    "losses that were told before labels moved stay": Case(
        'alertname="ModelPerformanceLost",ml_window="5m"',
        MOVED
        | {
            f'ml_performance_score_upper{{{WHO},ml_window="5m",ml_label_maturity="fixed_age",{ACCURACY}}}': "0.7x900",
            f"ml_performance_score_lower{{{BASE},{ACCURACY}}}": "0.8x900",
            OK: "1x900",
        },
        fires=("25m", "2h", "5h"),
        every="1m",
    ),
    "alarms of other kinds are tickets": Case(
        'alertname="ModelAlarm",severity="ticket",ml_detection_kind="fairness"',
        {f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="fairness"}}': "0x9 1x20 0x30"},
        fires=("10m",),
        quiet=("9m",),
    ),
    "what renews a standing alarm is told by name, each by itself": Case(
        'alertname="ModelAlarmRenewed",severity="ticket",owner="risk-ml",ml_detection_kind="drift",ml_feature_name="income"',
        {
            f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="drift",{SCOPE}}}': "0x9 1x60",
            f'ml_detection_alarm_renewed{{{WHO},ml_window="1h",ml_detection_kind="drift",ml_feature_name="income",{SCOPE}}}': (
                "_x20 1x9 _x40"
            ),
        },
        fires=("20m", "29m"),
        quiet=("19m", "50m"),
    ),
    "losses and fairness are no drift": Case(
        'alertname="ModelDrift"',
        {
            f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="{k}"}}': "1x60"
            for k in ("performance", "fairness")
        },
        quiet=("10m", "30m"),
    ),
    "absolute errors of a regression worse for more than three windows": Case(
        'alertname="ModelPerformanceLost",severity="ticket",ml_window="1h"',
        {
            f'ml_performance_score_lower{{{HOUR},ml_performance_measure="mae",ml_performance_source="labels"}}': "10x59 14x400",
            f'ml_performance_score_upper{{{BASE},ml_performance_measure="mae",ml_performance_source="labels"}}': "12x500",
            OK: "1x500",
        },
        fires=("4h", "5h"),
        quiet=("59m", "3h58m"),
        every="5m",
    ),
    "labels that have just come raise nothing": Case(
        'alertname="ModelPerformanceLost"',
        {
            f'ml_performance_score_upper{{{WHO},ml_window="1h",ml_label_maturity="arrived",{ACCURACY}}}': "0.5x500",
            f'ml_performance_score_lower{{{WHO},ml_window="baseline",ml_label_maturity="arrived",{ACCURACY}}}': "0.8x500",
            OK: "1x500",
        },
        quiet=("4h", "5h"),
        every="5m",
    ),
    "drift of a model that nobody configured": Case(
        'alertname="ModelDrift",severity="ticket",owner="",ml_model_name="other"',
        {f'ml_detection_alarm{{{OTHER},ml_window="5m",ml_detection_kind="drift"}}': "0x9 1x20"},
        fires=("10m",),
        quiet=("9m",),
    ),
    "evidence and effect sizes alone raise nothing": Case(
        'alertname=~".+"',
        {
            f'ml_detection_evidence{{{WHO},ml_window="1h",ml_detection_kind="drift"}}': "5x600",
            f'ml_drift_score{{{WHO},ml_window="1h",ml_feature_name="age",ml_drift_measure="psi_debiased"}}': "9x600",
            f'ml_data_quality_ratio{{{WHO},ml_window="1h",ml_feature_name="age",ml_data_quality_kind="missing"}}': "1x600",
            f'ml_calibration_score_lower{{{HOUR},ml_calibration_measure="ece"}}': "0.9x600",
            f'ml_calibration_score_upper{{{BASE},ml_calibration_measure="ece"}}': "0.1x600",
            OK: "1x600",
            "calidris_receiver_requests_total": "0+1x600",
        },
        quiet=("10m", "5h", "10h"),
        every="5m",
    ),
    "calibration worse for more than three windows": Case(
        'alertname="ModelCalibrationLost",severity="ticket",ml_window="1h",ml_label_maturity="fixed_age",tier="high"',
        {
            f"ml_calibration_score_lower{{{HOUR},{BRIER},{SCOPE}}}": "0.10x59 0.14x400",
            f"ml_calibration_score_upper{{{BASE},{BRIER},{SCOPE}}}": "0.12x500",
            OK: "1x500",
        },
        fires=("4h", "5h"),
        quiet=("59m", "3h58m"),
        every="5m",
    ),
    "calibration worse for two windows only": Case(
        'alertname="ModelCalibrationLost"',
        {
            f"ml_calibration_score_lower{{{HOUR},{BRIER}}}": "0.14x120 0.10x400",
            f"ml_calibration_score_upper{{{BASE},{BRIER}}}": "0.12x500",
            OK: "1x500",
        },
        quiet=("2h", "3h", "5h"),
        every="5m",
    ),
    "calibration of a slice is not that of the model": Case(
        'alertname="ModelCalibrationLost"',
        {
            f'ml_calibration_score_lower{{{HOUR},{BRIER},country="NL"}}': "0.9x500",
            f"ml_calibration_score_lower{{{HOUR},{BRIER}}}": "0.1x500",
            f"ml_calibration_score_upper{{{BASE},{BRIER}}}": "0.12x500",
            OK: "1x500",
        },
        quiet=("5h", "8h"),
        every="5m",
    ),
    "calibration against a baseline that nobody confirmed": Case(
        'alertname="ModelCalibrationLost"',
        {
            f"ml_calibration_score_lower{{{HOUR},{BRIER}}}": "0.14x500",
            f"ml_calibration_score_upper{{{BASE},{BRIER}}}": "0.12x500",
            OK.replace('"ok"', '"provisional"'): "1x500",
        },
        quiet=("5h", "8h"),
        every="5m",
    ),
    "performance worse for more than three windows": Case(
        'alertname="ModelPerformanceLost",severity="ticket",ml_window="1h",owner="risk-ml"',
        {
            f"ml_performance_score_upper{{{HOUR},{ACCURACY},{SCOPE}}}": "0.95x59 0.80x400",
            f"ml_performance_score_lower{{{BASE},{ACCURACY}}}": "0.90x500",
            OK: "1x500",
        },
        fires=("4h", "5h"),
        quiet=("59m", "3h58m"),
        every="5m",
    ),
    "performance that is only estimated pages nobody": Case(
        'alertname="ModelPerformanceLost"',
        {
            f"ml_performance_score_upper{{{HOUR},{ACCURACY.replace('labels', 'estimate')}}}": "0.5x500",
            f"ml_performance_score_lower{{{BASE},{ACCURACY}}}": "0.90x500",
            OK: "1x500",
        },
        quiet=("5h", "8h"),
        every="5m",
    ),
    "a fast burn pages within minutes, and ends soon after": Case(
        'alertname="ModelBudgetBurn",severity="page",ml_slo_name="errors",ml_slo_window="1h/5m",owner="risk-ml"',
        # A tenth of a thousand predictions a minute fail from 2 h on, for 30 minutes: 100 times the budget.
        {BAD: "0x120 0+100x30 3000x300", GOOD: "0+1000x500"},
        fires=("2h15m", "2h30m"),
        quiet=("2h", "2h8m", "2h40m", "4h"),
    ),
    "a slow burn is a ticket and no page": Case(
        'alertname="ModelBudgetBurn",severity="ticket",ml_slo_name="errors",ml_slo_window="1d/2h"',
        # 0.4 % fail: 4 times the budget.
        {BAD: "0+4x3000", GOOD: "0+996x3000"},
        fires=("26h",),
        every="30m",
    ),
    "a slow burn pages nobody": Case(
        'alertname="ModelBudgetBurn",severity="page"',
        {BAD: "0+4x3000", GOOD: "0+996x3000"},
        quiet=("10m", "1h", "7h", "26h"),
        every="30m",
    ),
    "a few failures at night page nobody": Case(
        'alertname="ModelBudgetBurn",severity="page"',
        # One prediction in ten minutes, two of them fail: half of all, and still two.
        {BAD: "0x100 0 1 1 1 1 1 1 1 1 1 2x200", GOOD: "0x100 0x10 1x200"},
        quiet=("1h45m", "1h52m", "2h"),
    ),
    "no traffic burns nothing": Case(
        'alertname="ModelBudgetBurn"',
        {BAD: "0+100x60 6000x500", GOOD: "0+900x60 54000x500"},
        fires=("1h",),
        quiet=("7h30m",),
        every="5m",
    ),
    "the fastest page of a lax objective is left out": Case(
        'alertname="ModelBudgetBurn",ml_slo_window="1h/5m",ml_model_name="fraud (eu+uk)"',
        {LATENCY: "0+1000x500"},
        quiet=("2h", "8h"),
        every="5m",
    ),
    "a total failure pages under a lax objective too": Case(
        'alertname="ModelBudgetBurn",severity="page",ml_model_name="fraud (eu+uk)",owner="pay$ments"',
        {LATENCY: "0+1000x500"},
        fires=("30m", "8h"),
        every="5m",
    ),
    "what is raised while its model is silent waits until rows come again": Case(
        'alertname=~"ModelPerformanceAlarm|ModelAlarm|ModelDrift"',
        ROWS_STOP
        | {
            f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="{kind}"}}': "0x200 1x400"
            for kind in ("performance", "calibration", "drift")
        }
        | {
            f'ml_detection_alarm_silent{{{WHO},ml_window="1h",ml_detection_kind="{kind}"}}': "0x200 1x400"
            for kind in ("performance", "calibration", "drift")
        },
        quiet=("2h", "3h25m", "4h", "6h35m"),
        fires=("6h50m", "7h30m"),
    ),
    "an alarm that stood before its model fell silent stays": Case(
        'alertname="ModelPerformanceAlarm",severity="page"',
        ROWS_STOP
        | {
            f'ml_detection_alarm{{{WHO},ml_window="1h",ml_detection_kind="performance"}}': "0x60 1x540",
            f'ml_detection_alarm_silent{{{WHO},ml_window="1h",ml_detection_kind="performance"}}': "0x600",
        },
        fires=("1h2m", "2h", "4h", "6h", "8h"),
        quiet=("59m",),
    ),
    "losses and calibration of a silent model are no news": Case(
        'alertname=~"ModelPerformanceLost|ModelCalibrationLost"',
        ROWS_STOP
        | {
            f"ml_performance_score_upper{{{HOUR},{ACCURACY}}}": "0.9x239 0.7x900",
            f"ml_performance_score_lower{{{BASE},{ACCURACY}}}": "0.8x1200",
            f"ml_calibration_score_lower{{{HOUR},{BRIER}}}": "0.1x239 0.14x900",
            f"ml_calibration_score_upper{{{BASE},{BRIER}}}": "0.12x1200",
            OK: "1x1200",
        },
        quiet=("2h", "4h", "6h", "8h"),
        fires=("10h30m",),
        every="5m",
    ),
    "losses that were told before their model fell silent stay": Case(
        'alertname="ModelPerformanceLost",ml_window="5m"',
        ROWS_STOP
        | {
            f'ml_performance_score_upper{{{WHO},ml_window="5m",ml_label_maturity="fixed_age",{ACCURACY}}}': "0.7x900",
            f"ml_performance_score_lower{{{BASE},{ACCURACY}}}": "0.8x900",
            OK: "1x900",
        },
        fires=("20m", "2h", "3h", "5h"),
        quiet=("10m",),
    ),
    "a budget that seems to burn because nothing comes any more": Case(
        'alertname="ModelBudgetBurn",ml_slo_window="3d/6h"',
        {
            f"ml_received_rows_total{{{WHO}}}": "0+100x4260 426000x700",
            BAD: "0x4200 0+1x60 60x700",
            GOOD: "0+100x4200 420000+10x60 420600x700",
        },
        quiet=("71h", "73h", "78h"),
        every="5m",
    ),
    "a model goes silent": Case(
        'alertname="ModelSilent",severity="ticket",ml_model_name="credit"',
        {f"ml_received_rows_total{{{WHO},{SCOPE}}}": "0+100x120 12000x240"},
        fires=("2h36m", "3h"),
        quiet=("2h", "2h30m"),
    ),
    "another version takes over": Case(
        'alertname="ModelSilent"',
        {
            f"ml_received_rows_total{{{WHO}}}": "0+100x120 12000x240",
            f"ml_received_rows_total{{{WHO.replace('7', '8')}}}": "0x120 0+100x240",
        },
        quiet=("2h", "2h36m", "4h"),
    ),
    "a model that never spoke is not silent": Case(
        'alertname="ModelSilent"', {f"ml_received_rows_total{{{WHO}}}": "0x400"}, quiet=("10m", "2h", "6h")
    ),
    "between two nights of a job a model is not silent": Case(
        'alertname="ModelSilent"',
        {
            f"ml_received_rows_total{{{WHO},{SCOPE}}}": "0+100x60 6000x1380 6000+100x60 12000x1440",
            f"ml_monitoring_batch{{{WHO},{SCOPE}}}": "1x3000",
            f'ml_monitoring_status{{{WHO},{SCOPE},ml_monitoring_state="ok"}}': "1x3000",
        },
        quiet=("1h40m", "12h", "25h40m", "26h", "48h"),
        every="5m",
    ),
    "nights of a job that fail to come": Case(
        'alertname="ModelSilent",severity="ticket",ml_model_name="credit"',
        {
            f"ml_received_rows_total{{{WHO}}}": "0+100x60 6000x900",
            f"ml_monitoring_batch{{{WHO}}}": "1x900",
            f'ml_monitoring_status{{{WHO},ml_monitoring_state="ok"}}': "1x200 _x700",
            f'ml_monitoring_status{{{WHO},ml_monitoring_state="stale"}}': "_x201 1x600",
        },
        fires=("4h", "9h"),
        quiet=("2h", "3h20m"),
    ),
    "an older version's jobs end and the new one's come": Case(
        'alertname="ModelSilent"',
        {
            f"ml_monitoring_batch{{{WHO}}}": "1x900",
            f"ml_monitoring_batch{{{WHO.replace('7', '8')}}}": "1x900",
            f'ml_monitoring_status{{{WHO},ml_monitoring_state="stale"}}': "1x900",
            f'ml_monitoring_status{{{WHO.replace("7", "8")},ml_monitoring_state="ok"}}': "1x900",
        },
        quiet=("1h", "9h"),
    ),
    "most rows of a night are late": Case(
        'alertname="ModelRowsLate",severity="ticket",ml_model_name="credit"',
        {
            f"ml_received_rows_total{{{WHO},{SCOPE}}}": "0x60 6000x300",
            f"ml_received_late_total{{{WHO},{SCOPE}}}": "0x60 5983x300",
        },
        fires=("1h10m", "1h50m"),
        quiet=("59m", "1h3m", "2h10m"),
    ),
    "a few late rows are no news": Case(
        'alertname="ModelRowsLate"',
        {
            f"ml_received_rows_total{{{WHO}}}": "0+100x400",
            f"ml_received_late_total{{{WHO}}}": "0+4x400",
            f"ml_received_rows_total{{{OTHER}}}": "0x60 6x340",
            f"ml_received_late_total{{{OTHER}}}": "0x60 6x340",
        },
        quiet=("1h10m", "5h"),
    ),
    "a receiver does not answer": Case(
        'alertname="CalidrisReceiverDown",severity="ticket",instance="a:1"',
        {'up{job="calidris",instance="a:1"}': "1x60 0x30", 'up{job="calidris",instance="b:1"}': "1x90"},
        fires=("1h6m",),
        quiet=("1h", "1h4m"),
    ),
    "other jobs are not ours": Case(
        'alertname="CalidrisReceiverDown"', {'up{job="node",instance="a:1"}': "0x90"}, quiet=("1h",)
    ),
    "no receiver sends anything": Case(
        'alertname="CalidrisAbsent"',
        {'calidris_receiver_requests_total{calidris_reason="ok"}': "0+5x60"},
        fires=("1h20m",),
        quiet=("5m", "1h", "1h10m"),
    ),
    "records that could not be applied": Case(
        'alertname="CalidrisRecordsLost",severity="ticket"',
        {"calidris_engine_failures_total": "0x60 2x200", "calidris_journal_lost_total": "0x300"},
        fires=("1h2m",),
        quiet=("1h", "2h5m"),
    ),
    "records lost before the first scrape": Case(
        'alertname="CalidrisRecordsLost"',
        {"calidris_engine_failures_total": "0x300", "calidris_journal_lost_total": "3x300"},
        fires=("1m", "2h"),
    ),
    "series left out": Case(
        'alertname="CalidrisSeriesDropped",severity="ticket"',
        {"calidris_export_series_dropped": "0x60 40x100 0x60"},
        fires=("1h20m", "2h30m"),
        quiet=("1h", "1h10m", "2h50m"),
    ),
    "a queue that stays nearly full": Case(
        'alertname="CalidrisQueueFull",severity="ticket",instance="a:1"',
        {
            f"calidris_queue_size_bytes{{{SCOPE}}}": "100x60 250x10 100x60",
            f"calidris_queue_limit_bytes{{{SCOPE}}}": "256x130",
            'calidris_queue_size_bytes{instance="b:1"}': "100x130",
            'calidris_queue_limit_bytes{instance="b:1"}': "110x20 256x110",
        },
        fires=("1h7m",),
        quiet=("30m", "1h", "1h4m", "1h30m"),
    ),
    "the full queue of another receiver": Case(
        'alertname="CalidrisQueueFull",instance="b:1"',
        {
            'calidris_queue_size_bytes{instance="b:1"}': "100x130",
            'calidris_queue_limit_bytes{instance="b:1"}': "256x130",
        },
        quiet=("30m", "2h"),
    ),
    "a journal that no checkpoint frees": Case(
        'alertname="CalidrisJournalFull",severity="ticket"',
        {
            f"calidris_journal_live_bytes{{{SCOPE}}}": "0+10x60 600x30",
            f"calidris_journal_limit_bytes{{{SCOPE}}}": "600x90",
        },
        fires=("56m", "1h20m"),
        quiet=("47m", "50m"),
    ),
    "requests are refused without a break": Case(
        'alertname="CalidrisRefusing",severity="ticket",instance="a:1"',
        {
            'calidris_receiver_requests_total{calidris_reason="ok",instance="a:1"}': "0+50x240",
            'calidris_receiver_requests_total{calidris_reason="throttled",instance="a:1"}': "0x60 0+5x40 200x140",
        },
        fires=("1h20m", "1h40m"),
        quiet=("30m", "1h10m", "2h"),
    ),
    "a rate or a share that is set too low refuses too": Case(
        'alertname="CalidrisRefusing",severity="ticket",instance="a:1"',
        {
            'calidris_receiver_requests_total{calidris_reason="ok",instance="a:1"}': "0+50x240",
            'calidris_receiver_requests_total{calidris_reason="rate_rows",instance="a:1"}': "0x60 0+5x20 100x160",
            'calidris_receiver_requests_total{calidris_reason="throttled_tenant",instance="a:1"}': "0x80 0+5x20 100x140",
        },
        fires=("1h20m", "1h40m"),
        quiet=("30m", "1h10m", "2h"),
    ),
    "bad requests are no refusals": Case(
        'alertname="CalidrisRefusing"',
        {'calidris_receiver_requests_total{calidris_reason="malformed",instance="a:1"}': "0+50x240"},
        quiet=("1h", "3h"),
    ),
    "records wait too long": Case(
        'alertname="CalidrisLagging",severity="ticket",instance="a:1"',
        {f"calidris_lag_time_seconds{{{SCOPE}}}": "0.1x60 90x20 0.1x60"},
        fires=("1h7m", "1h20m"),
        quiet=("1h", "1h4m", "1h30m"),
    ),
    "figures are not renewed": Case(
        'alertname="CalidrisFiguresOld",severity="ticket"',
        {f"calidris_snapshot_age_seconds{{{SCOPE}}}": "0.5x60 0+60x60"},
        fires=("1h15m",),
        quiet=("1h", "1h10m"),
    ),
    "the state is not saved": Case(
        'alertname="CalidrisCheckpointOld",severity="ticket"',
        {f"calidris_checkpoint_age_seconds{{{SCOPE}}}": "9x60 0+60x60"},
        fires=("1h20m",),
        quiet=("1h", "1h10m"),
    ),
}


@pytest.fixture(scope="module")
def folder(rich: CalidrisConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rules")
    render(rich, out)
    return out


def run(promtool: Promtool, folder: Path, test: dict[str, Any], every: str = "1m") -> None:
    path = folder / "test.yml"
    # Recordings first, said by group: else promtool takes any order, and a step may be longer than a sample lives (5 min).
    files = [str(p) for p in sorted((folder / "prometheus").glob("*.rules.yml"), reverse=True)]
    yaml = YAML(typ="safe")
    order = [group["name"] for file in files for group in yaml.load(Path(file))["groups"]]
    whole = {"rule_files": files, "group_eval_order": order, "evaluation_interval": every, "tests": [test]}
    with path.open("w", encoding="utf-8") as out:
        YAML(typ="safe").dump(whole, out)
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_every_rule_file(promtool: Promtool, folder: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    files = [*folder.glob("prometheus/*.yml"), *(root / "grafana" / "prometheus").glob("*.yml")]
    done = promtool("check", "rules", *files)
    assert len(files) == 4
    assert done.returncode == 0 and "FAILED" not in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_when_it_must_and_only_then(promtool: Promtool, folder: Path, name: str) -> None:
    case = CASES[name]
    firing = f'count(ALERTS{{alertstate="firing",{case.alert}}}) > bool 0 or vector(0)'
    wanted = {**dict.fromkeys(case.fires, 1), **dict.fromkeys(case.quiet, 0)}
    checks = [
        {"expr": firing, "eval_time": when, "exp_samples": [{"labels": "{}", "value": value}]}
        for when, value in wanted.items()
    ]
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    run(promtool, folder, {"interval": "1m", "input_series": series, "promql_expr_test": checks}, case.every)


def test_a_model_that_sleeps_at_week_ends_is_not_silent_then(promtool: Promtool, folder: Path) -> None:
    """Five days of traffic, two of none, twice: quiet on the second Saturday, an alert on a silent Monday."""
    day = 288  # of 5 minutes
    week = f"0+100x{5 * day} {100 * 5 * day}x{2 * day - 1} "
    later = f"{100 * 5 * day}+100x{5 * day} {100 * 10 * day}x{5 * day}"
    firing = 'count(ALERTS{alertstate="firing",alertname="ModelSilent"}) > bool 0 or vector(0)'
    checks = [
        {"expr": firing, "eval_time": when, "exp_samples": [{"labels": "{}", "value": value}]}
        for when, value in {"4d": 0, "11d": 0, "13d": 0, "13d12h": 0, "14d12h": 1}.items()
    ]
    series = [{"series": f"ml_received_rows_total{{{WHO}}}", "values": week + later}]
    run(promtool, folder, {"interval": "5m", "input_series": series, "promql_expr_test": checks}, every="20m")


def test_the_drift_ticket_names_model_window_and_features(promtool: Promtool, folder: Path) -> None:
    evidence = (
        'ml_detection_evidence{ml_model_name="other",ml_model_version="1",ml_window="5m",ml_detection_kind="drift"'
    )
    series = {
        f'ml_detection_alarm{{{OTHER},ml_window="5m",ml_detection_kind="drift"}}': "1x10",
        f"{evidence}}}": "1.3x10",
        f'{evidence},ml_feature_name="age"}}': "0.9x10",
        f'{evidence},ml_feature_name="income"}}': "1.2x10",
    }
    labels = {
        "severity": "ticket",
        "ml_model_name": "other",
        "ml_model_version": "1",
        "ml_window": "5m",
        "ml_detection_kind": "drift",
    }
    annotations = {
        "summary": "other 1: rows of the 5m windows no longer look like the baseline",
        "description": "The drift detector of other 1 has raised an alarm on its 5m windows: the evidence against 'nothing "
        "has changed' has used up the false-alarm budget. Most evidence: income age. `calidris status` names the features "
        "and their direction, /v1/alarms of the read API says since when and gives example traces. Look whether data "
        "quality broke at the same time; mend the data, or label recent rows and retrain. The alarm stays latched until "
        "`calidris alarms clear` ends it.",
        "runbook_url": "docs/grafana.md#drift",
        "__dashboardUid__": "calidris-drift",
        "__panelId__": "1",
    }
    expected = [{"exp_labels": labels, "exp_annotations": annotations}]
    run(
        promtool,
        folder,
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [{"eval_time": "5m", "alertname": "ModelDrift", "exp_alerts": expected}],
        },
    )


def test_a_wrong_expectation_is_noticed(promtool: Promtool, folder: Path) -> None:
    """The checks above can fail."""
    check = {"expr": "vector(0)", "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 1}]}
    with pytest.raises(AssertionError):
        run(promtool, folder, {"interval": "1m", "input_series": [], "promql_expr_test": [check]})
