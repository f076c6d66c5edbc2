"""The read side over HTTP: status, readings, alarms and the report, as one snapshot has them. It changes nothing."""

from calidris.api.json_shapes import alarms_json, readings_json, status_json
from calidris.api.read_server import ApiServer
from calidris.api.routes import Sources

__all__ = ["ApiServer", "Sources", "alarms_json", "readings_json", "status_json"]
