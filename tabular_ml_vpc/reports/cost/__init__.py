"""What the templates cost: counted from their resources, priced from a dated table.

``estimate.estimate`` returns every line; ``savings.savings`` compares other settings. Prices come
from ``prices.json``, which is shipped, or from the Pricing API (``live``). ``usage`` has the
assumptions about how much is used: low, typical and high.
"""
