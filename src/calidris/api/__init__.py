"""The read side over HTTP: status, readings, alarms and the report, as one snapshot has them. It changes nothing."""

from calidris.api.read_server import ApiServer
from calidris.api.routes import Sources
from calidris.api.shape import alarms_json, readings_json, status_json

__all__ = ["ApiServer", "Sources", "alarms_json", "readings_json", "status_json"]
