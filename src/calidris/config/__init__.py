"""calidris.yaml: one frozen ``XConfig`` a sub-system, validated when it is read, unknown keys refused."""

from calidris.config.detection import DetectConfig, FairnessConfig, SharesConfig, ThresholdConfig
from calidris.config.doors import MutualTlsConfig, TlsConfig
from calidris.config.load import load
from calidris.config.logs import LogConfig
from calidris.config.models import LatencyObjective, ModelConfig, ObjectivesConfig, RatioObjective
from calidris.config.root import (
    ApiConfig,
    CalidrisConfig,
    ExportConfig,
    GrpcConfig,
    HttpConfig,
    JournalConfig,
    LimitsConfig,
    OtlpConfig,
    PrometheusConfig,
    RateConfig,
    RatesConfig,
    ReceiverConfig,
    RetentionConfig,
    StorageConfig,
)

__all__ = [
    "ApiConfig",
    "CalidrisConfig",
    "DetectConfig",
    "ExportConfig",
    "FairnessConfig",
    "GrpcConfig",
    "HttpConfig",
    "JournalConfig",
    "LatencyObjective",
    "LimitsConfig",
    "LogConfig",
    "ModelConfig",
    "MutualTlsConfig",
    "ObjectivesConfig",
    "OtlpConfig",
    "PrometheusConfig",
    "RateConfig",
    "RatesConfig",
    "RatioObjective",
    "ReceiverConfig",
    "RetentionConfig",
    "SharesConfig",
    "StorageConfig",
    "ThresholdConfig",
    "TlsConfig",
    "load",
]
