"""The demonstration: a real model behind a real HTTP service, monitored from the first request to the alarm."""
