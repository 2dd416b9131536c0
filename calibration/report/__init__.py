"""`edgevoice report`: one self-contained HTML page about a bundle, readable offline and on a phone."""

from calibration.report.page import page, write

__all__ = ["page", "write"]
