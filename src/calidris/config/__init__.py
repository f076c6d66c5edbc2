"""calidris.yaml: one frozen ``XConfig`` a sub-system, validated when it is read, unknown keys refused."""

from calidris.config.load import load
from calidris.config.models import DetectConfig, LatencyObjective, ModelConfig, ObjectivesConfig, RatioObjective
from calidris.config.root import (
    ApiConfig,
    CalidrisConfig,
    ExportConfig,
    GrpcConfig,
    JournalConfig,
    LimitsConfig,
    OtlpConfig,
    PrometheusConfig,
    ReceiverConfig,
    StorageConfig,
)

__all__ = [
    "ApiConfig",
    "CalidrisConfig",
    "DetectConfig",
    "ExportConfig",
    "GrpcConfig",
    "JournalConfig",
    "LatencyObjective",
    "LimitsConfig",
    "ModelConfig",
    "ObjectivesConfig",
    "OtlpConfig",
    "PrometheusConfig",
    "RatioObjective",
    "ReceiverConfig",
    "StorageConfig",
    "load",
]
