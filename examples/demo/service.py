"""A service as anybody would write it: FastAPI and scikit-learn, nothing of Calidris but the call that reports an outcome.

``opentelemetry-instrument uvicorn examples.demo.service:app`` is what makes its predictions visible.
"""

from __future__ import annotations

import pandas as pd
from fastapi import FastAPI

from calidris import last_prediction_ids, record_label
from examples.demo.data import FEATURES, train_model

app = FastAPI(title="tumour")
model = train_model()


@app.post("/predict")
def predict(measurements: dict[str, float]) -> dict[str, object]:
    """Probability that a tumour is malignant."""
    row = pd.DataFrame([measurements], columns=FEATURES)
    probability = float(model.predict_proba(row)[0, 1])
    return {"malignant": probability, "id": last_prediction_ids()[0]}


@app.post("/outcome")
def outcome(id: str, malignant: int) -> dict[str, str]:
    """What the laboratory found, days later."""
    record_label(id, malignant)
    return {"status": "thank you"}


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the model is loaded."""
    return {"status": "ok"}
