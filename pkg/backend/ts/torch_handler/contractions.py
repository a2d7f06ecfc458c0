"""The contractions that the text handlers expand (reference: python-backend.md, 13.3)."""

from __future__ import annotations

from typing import Dict, List, Tuple

# X stands for each of the subjects.
_PATTERNS: List[Tuple[str, str, str]] = [
    ("X'd", "X would", "I i he she it that there they we you"),
    ("X'd've", "X would have", "I i he she it that there they we you"),
    ("X'll", "X will", "I i he she it they we you what who how"),
    ("X'll've", "X will have", "I i she it they we you what who"),
    ("X'm", "X am", "I i"),
    ("X've", "X have", "I i could might must should so they to we what when where who why will would you"),
    ("X're", "X are", "they we what you"),
    (
        "Xn't",
        "X not",
        "are could did does do had has have is may might must need ought should was were would",
    ),
    ("Xn't've", "X not have", "could had might must need ought should would"),
    ("X's", "X is", "he she it that there what who how why where when"),
]

_IRREGULAR: Dict[str, str] = {
    "ain't": "is not",
    "can't": "cannot",
    "can't've": "cannot have",
    "won't": "will not",
    "won't've": "will not have",
    "shan't": "shall not",
    "sha'n't": "shall not",
    "shan't've": "shall not have",
    "he'll've": "he he will have",  # compat(0.12): sic
    "'cause": "because",
    "let's": "let us",
    "ma'am": "madam",
    "o'clock": "of the clock",
    "so's": "so as",
    "how'd": "how did",
    "how'd'y": "how do you",
    "where'd": "where did",
    "y'all": "you all",
    "y'all'd": "you all would",
    "y'all'd've": "you all would have",
    "y'all're": "you all are",
    "y'all've": "you all have",
}

CONTRACTION_MAP: Dict[str, str] = {
    **{
        short.replace("X", subject): full.replace("X", subject)
        for short, full, subjects in _PATTERNS
        for subject in subjects.split()
    },
    **_IRREGULAR,
}
"""Contraction to what it stands for."""
