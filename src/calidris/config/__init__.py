"""calidris.yaml: one frozen ``Config`` a sub-system, validated when it is read, unknown keys refused."""

from calidris.config.detection import DetectConfig, FairnessConfig, SharesConfig, ThresholdConfig
from calidris.config.export import ExportConfig, OtlpConfig, PrometheusConfig
from calidris.config.listener_tls import MutualTlsConfig, TlsConfig
from calidris.config.load import load
from calidris.config.models import LatencyObjective, ModelConfig, ObjectivesConfig, RatioObjective
from calidris.config.receiver import GrpcConfig, HttpConfig, RateConfig, RatesConfig, ReceiverConfig
from calidris.config.root import ApiConfig, CalidrisConfig, LimitsConfig, LogConfig
from calidris.config.storage import JournalConfig, RetentionConfig, StorageConfig

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
