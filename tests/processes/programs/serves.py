"""A script that starts its server itself."""

from __future__ import annotations

import uvicorn
from asgi import app

if __name__ == "__main__":
    uvicorn.run(app, port=0, access_log=False)
