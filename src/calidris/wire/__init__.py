"""OTLP bytes to batches, and back. No sockets, no clock: the receiver, the archive and Spark all use it.

The written rule; ``docs/wire.md`` says the same to people who send from other languages, with examples.

**Spans.**

* A *model span* carries ``ml.model.name`` or any other ``ml.*`` attribute of a prediction, or is named ``predict …``
  under a resource that carries ``ml.model.name``. Without a name on span or resource it is rejected.
* A *feedback span* carries ``ml.label``, or is named ``feedback …``. It needs ``ml.prediction.id`` and ``ml.label``,
  and no prediction beside them.
* Spans with ``ml.prediction.count`` = 0 only mark a trace. They and all other spans are *ignored*.
* A span is used whole or rejected whole, and costs its neighbours nothing.

**Columns.** Each holds ``ml.prediction.count`` rows (1 if absent), in any of these forms:

* a scalar, for one row; several rows are never made of one value, except by ``error.type``, which is the whole call's;
* an OTLP array, an empty value being a missing row;
* ``{f64 | f32 | i64: bytes}``, little-endian, NaN being a missing row;
* ``{levels: [strings], codes: bytes}``, int32 little-endian, -1 being a missing row;
* a string that is a JSON array, for several rows.

A map (``ml.features``, ``ml.slices``, ``ml.prediction.score`` by class) is an OTLP map of name to column, or one
string that is a JSON object of name to scalar, array or (one row only) null. ``ml.features.<name>`` as an attribute
of its own is one entry of that map, and so are ``ml.slices.<name>`` and ``ml.prediction.score.<class>``; where both
were sent the map wins. A count without any column is rejected: it would make rows out of nothing.

**Embeddings.** An entry of ``ml.features`` may hold a vector of d numbers a row: ``{f32: bytes, dim: d}``, n·d values
little-endian and row by row, or in the JSON object an array of n arrays of d numbers (also for one row), null being a
missing row. A row with a number that is not finite is missing. d is 1 to 4096; a span of several rows holds at most
2^22 numbers in embeddings. Bytes that are no multiple of 4·d, arrays of different lengths and embeddings anywhere else
are rejected. One-row spans of different dimensions become two batches.

**Values.** NaN and null are missing; infinity is missing and counted; a boolean is 0 or 1, in slices ``true`` or
``false``. Numbers and strings in one column of one span are rejected; one-row spans that disagree become two batches.
A column without any value comes as numbers, all missing, unless another span of the request says otherwise. A
probability outside [0, 1] by more than 1e-9 is rejected. A negative duration is missing. A weight is greater than 0.
Ids are strings, or ints, which become strings; a prediction's missing id is the empty string and joins nothing; a
label's missing id is rejected. An empty error is none. An unknown ``ml.model.task`` is left out.

**Span fields.** A row's time is its span's start (the arrival if 0) plus its offset; a label's is its
``ml.label.time``, else its span's start. A time more than 60 s after the arrival becomes the arrival, one more than 30
days before it becomes that bound; both are counted. Without ``ml.prediction.duration`` a one-row span lasts from its
start to its end. Without ``ml.prediction.error`` the ``error.type`` of the span holds for its rows, and ``_OTHER``
where only its status says that it failed. Without ``ml.prediction.trace_id`` it is the span's own.
``ml.model.*`` on the resource stands in for what the span leaves out.
"""

import re
from typing import Final

from calidris.wire.decoder import Decoded, decode
from calidris.wire.encoder import FORMS, Form, encode_labels, encode_predictions
from calidris.wire.limits import DEFAULT_LIMITS, WireLimits
from calidris.wire.rejections import CURES

__all__ = [
    "CURES",
    "DEFAULT_LIMITS",
    "FORMS",
    "Decoded",
    "Form",
    "WireLimits",
    "decode",
    "encode_labels",
    "encode_predictions",
    "holds_model_telemetry",
]

_OURS: Final = re.compile(rb"ml\.(?:model\.|prediction\.|features|slices|label)")


def holds_model_telemetry(raw: bytes) -> bool:
    """Whether a request may hold a model or feedback span; one scan at a GB/s or so, nothing is parsed.

    Never wrong about a no: protobuf keeps a key's bytes together. A yes may be wrong, where a value quotes such a key.

    >>> holds_model_telemetry(b"..ml.features.."), holds_model_telemetry(b"..index.html..")
    (True, False)
    """
    return _OURS.search(raw) is not None
