"""Documents made from templates and runs: cost, diagrams, site, audit, run report."""
