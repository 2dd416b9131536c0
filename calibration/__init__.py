"""INT8 and FP16 files that are worth it: calibration data, Q/DQ, sensitivity, quality measures, gate, report.

The way of a stage: `data` chooses sentences and cuts windows, `quantize.measure_ranges` runs them once,
`ranges` reads every method's limits from that, `sensitivity` finds what INT8 may touch, `quantize` writes the
file in an engine's form, `preflight` and `census` say what an engine will make of it, `measures` and `gate`
whether the voice survived, `report` shows it all.
"""
