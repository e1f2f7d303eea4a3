"""Texts that break careless offsets, for Hypothesis."""

from hypothesis import strategies as st

PIECES = (
    "a", "the", "word", "Zoë", "naïve", "cafe\u0301", "e\u0301\u0323", "İstanbul", "straße", "ﬁnance", "x\u00ad\u200by",
    "東京", "大阪府", "한국", "हिन्दी", "שלום", "مرحبا", "👨\u200d👩\u200d👧", "👍🏽", "🇹🇷", "\ufffd",
    "W" * 130, "3.6", "3,600", "$87", "-40", "°C", "10%", "5'11", "U.S.", "Feb.", "Jr.", "COVID-19", "O’Brien",
    "(", ")", "“", "”", "«", "»", '"', "[", "]", ",", ";", "…", "—", "-", ".",
    " ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u202f", "\u2009", "\u3000", "\u2028",
)  # fmt: skip


def hard_texts(*, max_pieces: int = 20) -> st.SearchStrategy[str]:
    """Pieces side by side, with and without blanks between them."""
    return st.lists(st.sampled_from(PIECES), min_size=1, max_size=max_pieces).map("".join)
