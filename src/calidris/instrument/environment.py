"""Every environment variable that the guest reads: ``opentelemetry-instrument`` turns each into a flag of its own.

``calidris.configure(...)`` sets the same things in code and wins over the environment.
"""

from __future__ import annotations

from typing import Final

OTEL_EXPORTER_CALIDRIS_ENDPOINT: Final = "OTEL_EXPORTER_CALIDRIS_ENDPOINT"
"""
.. envvar:: OTEL_EXPORTER_CALIDRIS_ENDPOINT

OTLP/gRPC address of the Calidris receiver, or of a Collector that routes to it: ``http://localhost:4327``.
``http`` is in clear, ``https`` is TLS. Without it nothing is recorded. The application's own OTLP endpoint is never used
instead, because features do not belong in a trace backend.
"""

OTEL_EXPORTER_CALIDRIS_HEADERS: Final = "OTEL_EXPORTER_CALIDRIS_HEADERS"
"""
.. envvar:: OTEL_EXPORTER_CALIDRIS_HEADERS

Headers of each request, ``key=value`` separated by commas, for example ``authorization=Bearer%20abc``: the token of a
receiver that asks for one (``calidris token``). They are never logged.
"""

OTEL_EXPORTER_CALIDRIS_CERTIFICATE: Final = "OTEL_EXPORTER_CALIDRIS_CERTIFICATE"
"""
.. envvar:: OTEL_EXPORTER_CALIDRIS_CERTIFICATE

PEM file of the authority that signed the receiver's certificate; without it the system's authorities are trusted.
"""

OTEL_EXPORTER_CALIDRIS_CLIENT_CERTIFICATE: Final = "OTEL_EXPORTER_CALIDRIS_CLIENT_CERTIFICATE"
"""
.. envvar:: OTEL_EXPORTER_CALIDRIS_CLIENT_CERTIFICATE

PEM file of the certificate that this process shows to a receiver which asks for one (mutual TLS).
"""

OTEL_EXPORTER_CALIDRIS_CLIENT_KEY: Final = "OTEL_EXPORTER_CALIDRIS_CLIENT_KEY"
"""
.. envvar:: OTEL_EXPORTER_CALIDRIS_CLIENT_KEY

PEM file of that certificate's private key.
"""

OTEL_EXPORTER_CALIDRIS_TIMEOUT: Final = "OTEL_EXPORTER_CALIDRIS_TIMEOUT"
"""
.. envvar:: OTEL_EXPORTER_CALIDRIS_TIMEOUT

Seconds that one request may take in the background thread. Default 5.
"""

OTEL_CALIDRIS_MODEL_NAME: Final = "OTEL_CALIDRIS_MODEL_NAME"
"""
.. envvar:: OTEL_CALIDRIS_MODEL_NAME

Name of the model of this process, for auto-instrumented libraries and for labels that name no model.
"""

OTEL_CALIDRIS_MODEL_VERSION: Final = "OTEL_CALIDRIS_MODEL_VERSION"
"""
.. envvar:: OTEL_CALIDRIS_MODEL_VERSION

Version of the model of this process; without it ``service.version``, else ``unknown``.
"""

OTEL_CALIDRIS_MODEL_ROLE: Final = "OTEL_CALIDRIS_MODEL_ROLE"
"""
.. envvar:: OTEL_CALIDRIS_MODEL_ROLE

What the models of this process do beside other versions that serve: ``champion``, ``canary`` or ``shadow``. A shadow's answers are
not used. Without it nothing is said, which is champion.
"""

OTEL_CALIDRIS_MODELS: Final = "OTEL_CALIDRIS_MODELS"
"""
.. envvar:: OTEL_CALIDRIS_MODELS

JSON file that names models by estimator: ``{"LogisticRegression": {"name": "credit", "version": "7"}}``. A key is a class
name, ``module.Class``, or a class name with eight digits: one of several of a class, as the log names it.
"""

OTEL_CALIDRIS_SLICES: Final = "OTEL_CALIDRIS_SLICES"
"""
.. envvar:: OTEL_CALIDRIS_SLICES

Columns of auto-instrumented inputs to cut by, separated by commas. Being listed, they leave the process.
"""

OTEL_CALIDRIS_ALLOW: Final = "OTEL_CALIDRIS_ALLOW"
"""
.. envvar:: OTEL_CALIDRIS_ALLOW

Features whose strings may leave the process, separated by commas; ``*`` is all. Numbers and booleans always may.
"""

OTEL_CALIDRIS_DROP: Final = "OTEL_CALIDRIS_DROP"
"""
.. envvar:: OTEL_CALIDRIS_DROP

Features that never leave the process, separated by commas; ``*`` is all that no other list names.
"""

OTEL_CALIDRIS_HASH: Final = "OTEL_CALIDRIS_HASH"
"""
.. envvar:: OTEL_CALIDRIS_HASH

Features that leave only as a keyed hash, separated by commas. Needs ``OTEL_CALIDRIS_HASH_KEY``, or they are dropped.
"""

OTEL_CALIDRIS_HASH_KEY: Final = "OTEL_CALIDRIS_HASH_KEY"
"""
.. envvar:: OTEL_CALIDRIS_HASH_KEY

Secret of the hash. Whoever holds it can test guesses, so it should not be where the hashes are.
"""

OTEL_CALIDRIS_BUCKET: Final = "OTEL_CALIDRIS_BUCKET"
"""
.. envvar:: OTEL_CALIDRIS_BUCKET

Features that leave only as a range: ``age:18,30,50;income:1000,5000`` sends ages as ``<18``, ``[18,30)``, ``[30,50)``, ``>=50``.
"""

OTEL_CALIDRIS_QUEUE_SIZE: Final = "OTEL_CALIDRIS_QUEUE_SIZE"
"""
.. envvar:: OTEL_CALIDRIS_QUEUE_SIZE

Single rows, and calls with many rows, that may wait in memory; beyond it the oldest make room and are counted. Default 65536.
"""

OTEL_CALIDRIS_QUEUE_BYTES: Final = "OTEL_CALIDRIS_QUEUE_BYTES"
"""
.. envvar:: OTEL_CALIDRIS_QUEUE_BYTES

Bytes that calls with many rows, labels and embeddings may take while they wait, and once more about so many that the texts of
single rows may take; what is beyond it is dropped and counted.
Default 268435456 (256 MiB).
"""

OTEL_CALIDRIS_HANDLE_SIGTERM: Final = "OTEL_CALIDRIS_HANDLE_SIGTERM"
"""
.. envvar:: OTEL_CALIDRIS_HANDLE_SIGTERM

``false`` leaves SIGTERM and SIGHUP alone. By default, where a process has no handler for them, the rows of the last second are
sent first, for at most two seconds; then the signal does what it would have done.
"""

OTEL_CALIDRIS_SCHEDULE_DELAY: Final = "OTEL_CALIDRIS_SCHEDULE_DELAY"
"""
.. envvar:: OTEL_CALIDRIS_SCHEDULE_DELAY

Milliseconds between two sendings. Default 1000.
"""

OTEL_CALIDRIS_DEBUG_RAISE: Final = "OTEL_CALIDRIS_DEBUG_RAISE"
"""
.. envvar:: OTEL_CALIDRIS_DEBUG_RAISE

``1`` lets errors of Calidris itself through to the caller. For its own tests only.
"""
