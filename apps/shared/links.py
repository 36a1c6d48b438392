"""What the pages link to: the data and the paper, and the rest where its address is known.

Publishing writes links.json into a Space; the variables REPOSITORY_URL, MODEL_CARD_URL,
PREDICTOR_URL and MONITOR_URL override it. What has no address gets no link.
"""

import json
import os
from pathlib import Path

FILE = Path(__file__).with_name("links.json")
DATA = "https://archive.ics.uci.edu/dataset/186/wine+quality"
PAPER = "https://doi.org/10.1016/j.dss.2009.05.016"
TEXTS = {
    "predictor": "The predictor",
    "monitor": "The monitor",
    "repository": "Source code",
    "model_card": "Model card",
    "data": "Data (UCI)",
    "paper": "Paper (Cortez et al. 2009)",
}


def links(app: str) -> list[tuple[str, str]]:
    """Return pairs of a text and an address for the page of ``app``."""
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    known |= {"data": DATA, "paper": PAPER}
    for name in TEXTS:
        known[name] = os.environ.get(f"{name.upper()}_URL") or known.get(name)
    return [
        (text, known[name])
        for name, text in TEXTS.items()
        if name != app and str(known[name] or "").startswith(("https://", "http://"))
    ]
