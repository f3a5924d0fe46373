"""What the templates cost: counted from their resources, priced from a dated table.

``estimate.estimate`` gives every line, ``savings.savings`` what other settings would bring. Prices
come from ``prices.json``, which ships, or from the Pricing API (``live``); how much is used of
what is counted is assumed in ``usage``, low, typical and high.
"""
